// Package events carries what happened to whoever is to know it. The Relay
// takes events from the outbox to the queue; the Replier tells them to the
// conversations that they belong to, by way of the adapters that Accounts runs.
//
// The outbox in the database is the truth. An event stays open there until its
// delivery is recorded, so everything here may be killed at any moment: what
// was not told is told later, each conversation in its order, and at worst one
// message of a conversation is told twice.
//
// Of several nodes on one database, one at a time relays and one serves each
// partition of conversations, by leases that end when a node is gone. What the
// holder of a lease writes about a conversation is guarded by it, so a node
// that was stopped and goes on changes nothing. The queue only brings word of
// what to look at: without it the conversations are found in the database.
package events
