// Package intake takes messages in: it implements [chat.Inbox]. A message
// becomes a command, the access rules decide about it, and what comes of it
// (a job, or an answer) is stored before Accept returns.
//
// Everything happens once for each message ID of an account. A job, and an
// answer that only reads, are written in one transaction with that ID. What
// acts on something else (cancel, pause, use …) is idempotent: it is done
// first and its answer is stored with the ID afterwards, so that a crash
// between the two only makes a redelivery do it again; and a message whose
// ID is stored already does nothing.
//
// An answer tells its reader nothing that the rules do not let them see: an
// agent or a job that is hidden from them is answered like one that does not
// exist.
package intake
