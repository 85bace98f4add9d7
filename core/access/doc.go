// Package access decides who may do what. Everything is denied unless a rule
// of the config allows it, and what is refused is recorded with the reason.
//
// A rule says who it is for, which agents it covers, and what it lets them
// do there; `in` narrows it to some conversations. Any rule may allow a
// request, and none takes away what another gives.
//
// The package knows principals, agent names and messages only as strings, so
// that nothing which acts on a decision is needed to make it.
package access
