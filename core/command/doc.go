// Package command turns what a person typed into a command. It is pure: it
// knows no agents and no jobs, and what it cannot know it is told.
//
// # What is understood
//
// The first word is an agent's name or a built-in ([Builtins]); everything
// after an agent's name is the job's message, verbatim. With a default agent,
// text that begins with neither is a message for that agent. A prefix such as
// "skadi" or "/skadi" may stand before all this.
//
// In the words that Skadi reads itself (the prefix, names, built-ins, codes)
// the traces of phones and office programs do not matter: capital letters,
// long dashes, quotation marks around a word, full-width letters, no-break
// spaces, invisible characters, a colon or comma after the name.
//
// # What verbatim means
//
// A message is always one unbroken piece of the input: none of its bytes is
// changed, whatever they are. White space around it belongs to no message and
// is left out, with one exception: when the message begins on a line below
// the agent's name, the indentation of that line is kept, since it may mean
// something.
package command
