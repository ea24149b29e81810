package config

import "log/slog"

// Secret is a text that prints as a mask, whichever way it is printed.
type Secret string

const mask = "********"

// Reveal returns the text. Its calls are the places to look at in a review.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

func (s Secret) GoString() string             { return s.String() }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(s.String()) }
