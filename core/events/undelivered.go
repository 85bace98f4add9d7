package events

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Undelivered returns what an adapter calls when a message that it had sent
// did not arrive after all; note is the store's.
func Undelivered(space string, note func(ctx context.Context, space, subject string, version int64, why string) error) func(ctx context.Context, id, why string) error {
	return func(ctx context.Context, id, why string) error {
		subject, version, ok := eventOf(id)
		if !ok {
			return nil // it told no event
		}
		if err := note(ctx, space, subject, version, why); err != nil {
			return fmt.Errorf("note that message %s was not delivered: %w", id, err)
		}
		return nil
	}
}

// eventOf returns the event that a message told, by the message's ID: that of
// the event, or more behind a dot.
func eventOf(id string) (subject string, version int64, ok bool) {
	subject, rest, _ := strings.Cut(id, ".")
	number, _, _ := strings.Cut(rest, ".")
	version, err := strconv.ParseInt(number, 10, 64)
	return subject, version, err == nil && subject != ""
}
