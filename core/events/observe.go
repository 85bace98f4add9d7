package events

import "time"

// Observer is told what a Replier does: for metrics and traces. Its methods
// are called concurrently and return at once.
type Observer interface {
	// Sent: an adapter was asked to send or edit one message, and answered.
	Sent(account string, took time.Duration, err error)
	// Told: a delivery was recorded.
	Told(d Delivery)
}

// nobody observes nothing.
type nobody struct{}

func (nobody) Sent(string, time.Duration, error) {}
func (nobody) Told(Delivery)                     {}
