package chat

import "log/slog"

// secretMask is what every secret prints as.
const secretMask = "<secret>"

// Secret is a password, token or key. Every way of printing it, logging it or
// marshaling it shows a mask; only Reveal gives the value.
type Secret string

// Reveal returns the value itself, to be handed to the far side and nowhere else.
func (s Secret) Reveal() string { return string(s) }

// String returns a mask.
func (s Secret) String() string { return secretMask }

// GoString returns a mask, so that %#v does not print the value either.
func (s Secret) GoString() string { return secretMask }

// MarshalText returns a mask; JSON and YAML encoders use it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(secretMask), nil }

// LogValue returns a mask for log/slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(secretMask) }
