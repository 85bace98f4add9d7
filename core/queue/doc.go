// Package queue carries events from the outbox to whoever consumes them: the
// repliers of this node, services of the operator's own, and the live tails of
// GET /v1/events.
//
// The outbox in the database is the truth, and a queue only tells that there
// is something to read there. So a queue may lose messages, provided that it
// says so (see [Handler]); it never blocks who publishes.
package queue
