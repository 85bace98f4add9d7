// Package events carries what happened to whoever is to know it. The Relay
// takes events from the outbox to the queue; the Replier tells them to the
// conversations that they belong to, by way of the adapters that Accounts runs.
//
// The outbox in the database is the truth. An event stays open there until its
// delivery is recorded, so everything here may be killed at any moment: what
// was not told is told later, each conversation in its order, and at worst one
// message of a conversation is told twice.
package events
