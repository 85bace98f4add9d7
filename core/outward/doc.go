// Package outward makes HTTP calls to addresses that strangers name, so that
// nobody uses Skadi to reach what only Skadi can.
//
// The address is judged at the moment of the connection, after the name was
// resolved and for each connection anew, so that a name which resolves to
// something else the next time gains nothing. Redirects are not followed, no
// proxy of the environment is used, and whatever is not a public address of the
// Internet is refused unless the config lists it.
package outward
