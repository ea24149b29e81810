package config

import (
	"fmt"
	"io"
	"log/slog"
)

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

// Format masks under every verb: fmt asks a Stringer for some verbs only, and
// prints the text itself in its complaint about the others.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(s.String()) }
