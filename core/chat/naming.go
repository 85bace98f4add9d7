package chat

// ChannelChecker is implemented by an [Opener] that tells by its form whether
// something can be the name of a channel, so that a config which names none is
// refused, and not found out when there is something to tell.
type ChannelChecker interface {
	// CheckChannel says why Open could never open what the config calls so, or
	// nil where it might. It asks nobody, and may be called before Run. The
	// error is for whoever writes the config: it repeats what is written there,
	// and says what to write instead.
	CheckChannel(channel string) error
}

// Naming is implemented by adapters that know the form of the names by which
// access rules know their people and conversations, so that a rule which could
// never hold is refused with the config. Neither method asks anybody, and both
// may be called before Run. They refuse only what no message could ever carry:
// what they let pass need not exist. Their errors are as ChannelChecker's.
type Naming interface {
	// CheckSender says why no message could come from a sender of that name,
	// or nil. The name is as rules write it behind the account: workspace/user,
	// user where there are no workspaces, or one of [Inbound].Groups. As
	// workspace/* it is everybody of that workspace.
	CheckSender(name string) error
	// CheckConversation says why no message could come from a conversation of
	// that name, or nil. The name is the Channel of its [ConversationRef], or
	// the Key of one that has none.
	CheckConversation(name string) error
}

// Scripted is implemented by adapters whose messages are not what somebody
// types, but what their block of the config makes of something else.
type Scripted interface {
	// MayBegin reports whether a message could begin with that word, behind
	// Skadi's name or without it.
	MayBegin(word string) bool
}
