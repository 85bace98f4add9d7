// Package chattest is the conformance suite that every adapter passes, those
// kept outside this repository too. It holds an adapter to the contract of
// package chat: what it hands in, what it refuses, what it shows, and how it
// sorts what goes wrong.
//
// # Using it
//
// An adapter's test gives [Run] a [Harness]: a far side that speaks as the real
// one does, and what is peculiar to it. The far side listens on a real
// connection and must not be written with the client that the adapter uses, or
// both make the same mistakes.
//
//	func TestConformance(t *testing.T) {
//		chattest.Run(t, chattest.Harness{
//			Start:         startServer, // func(*testing.T, chat.Env) chattest.Far
//			Conversations: 3,           // a channel, a thread in it, a direct message
//			AnswerWithin:  3 * time.Second,
//			Bad:           []chattest.Bad{{Name: "forged", Do: forged, Want: 401}},
//			OverHTTP:      &chattest.OverHTTP{Classes: map[int]chat.Class{403: chat.Auth}},
//			Secrets:       []string{"xoxb-the-token"},
//		})
//	}
//
// What Start returns implements [Far], and of the optional interfaces those
// that the channel has: [Redelivers], [Restarts], [Requests], [Breaks],
// [Locks], [Clicks], [Deletes], [Joins], [Follows], [Leaves]. Tests of what a channel does
// not have are skipped and say why; `go test -v` shows them. What an adapter plainly
// has, its harness may not leave out: that is checked first. The suite starts a far
// side for each of its tests, so starting one must be cheap.
// [Called] serves an adapter that its far side calls over HTTP.
//
// # What it checks
//
// Inbound: one message is one Accept, with the right principal, conversation,
// text and flags; the same message has the same ID however often and after
// whatever restart it comes, others have others; each way of asking counts on
// its own; text that channels garble arrives as it was written; where the adapter
// says what people, conversations and channels are called, it knows those that
// come, and opens none that it refuses.
//
// Refused: every kind of input that must not be handed in is answered with the
// right status; calls without their signature, cut short, endless or empty are
// refused, and an endless one is not read to its end; nothing panics; what is
// good still comes through afterwards.
//
// Unstored: where Accept fails, or takes for ever, the far side is told in time
// to deliver the message again, or the asker hears that it was not accepted;
// when it comes again it is handed in.
//
// Panics: a panic in handling a message ends neither the process nor the
// adapter, is logged and counted, and the message does not count as taken.
//
// Lifetime: Run ends when its context does and leaves no goroutine behind, works
// when called again, and outlives broken connections; credentials that do not
// work make Run or Send fail, and nothing else; a far side that cannot be reached
// is reported to the host, and so is that it can.
//
// Outbound: replies and edits come where they were asked for, also after a
// restart, with references that went through JSON; an edit of what was deleted
// is not tried for ever; text is shown as it is and
// notifies nobody but who is meant; quotas, files, many replies at once.
//
// Cards: every state can be read, an edit takes the place of what it edits,
// output cannot break out of its card, what is too long still gets through; a
// click is the button's command, by who clicked, once however often it was
// clicked.
//
// Failing: every HTTP status, and every trouble of a network, is sorted into the
// right class with the right Retry-After; a context that ends ends the call;
// nothing secret follows a redirect to another host.
//
// No secret of the harness may be in any log, error or message.
//
// # The host
//
// The suite is the adapter's host: its [chat.Env] has an inbox that can be told
// to fail, a clock that can be put forward, a KV and leases that outlive a
// restart of the adapter, and an HTTP client that has a network of its own.
// Adapters must use all of these, and no others.
package chattest
