// Package chat is the contract between Skadi and the channels that people
// write in. An adapter turns what its channel sends into [Inbound] messages
// and carries [Outbound] messages back; everything between the two is core's.
//
// The package imports only the standard library, so that an adapter kept
// outside this repository needs nothing else of Skadi.
package chat
