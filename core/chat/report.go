package chat

import "errors"

// ErrConnecting is what an adapter reports while its first try goes on.
var ErrConnecting = errors.New("it has not connected to its far side yet")

// Report tells the host how Run gets on with its far side: err is why it
// cannot take anything in or log in now, and goes on trying; nil says that it
// can. It is shown to the operator, so that it must hold no secret.
//
// An adapter whose Run calls its far side reports ErrConnecting when Run
// begins, then each try that fails and each that works, and the end of a
// connection that nothing stands in for. It need not count or wait: the host
// makes an account unhealthy only once the trouble has lasted for a while. One
// that is only called, or waits while another node holds its lease, has nothing
// to report but nil. What makes Run end it returns. Report may be called
// concurrently, and does not block; after Run has ended it does nothing.
func (e Env) Report(err error) {
	if e.Reported != nil {
		e.Reported(err)
	}
}
