package chat

import "context"

// Destination names a place to write in by what the config calls its account
// and the far side its channel.
type Destination struct {
	Account string `yaml:"account" json:"account" jsonschema:"required" doc:"The account to write with, as its adapter is named."`
	Channel string `yaml:"channel" json:"channel" jsonschema:"required" doc:"What the far side calls the channel: in Slack and Teams its ID, of a WeCom application a member's ID, of a group robot the word group."`
}

// String returns account:channel, as access rules write it.
func (d Destination) String() string { return d.Account + ":" + d.Channel }

// Opener is implemented by adapters that can write where nobody wrote to Skadi
// before, given what the config calls the channel.
type Opener interface {
	// Open returns the conversation of a channel. It posts nothing, and what it
	// looks up it finds within a second: a message from elsewhere may wait for
	// it to be accepted. Its errors are *SendError: Permanent for what is no
	// channel's name, Gone where Skadi is not (yet) a member, Temporary else.
	Open(ctx context.Context, channel string) (ConversationRef, error)
}

// Directing is implemented by adapters whose messages are answered where their
// block of the config says; see Inbound.ReplyTo and Inbound.CallbackURL. It is
// asked before Run, so that what cannot be is refused with the config.
type Directing interface {
	Directions() []Direction
}

// Direction is one key of an adapter's block that says where something is
// answered: To, or CallbackURL.
type Direction struct {
	// Key is the key's path in the block, such as rules[0].reply_to. That of a
	// Destination has the keys account and channel.
	Key         string
	To          Destination
	CallbackURL string
}
