package config

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
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

func readSecret(file string) (string, error) {
	content, err := readRegular(file, largestFile)
	return strings.TrimSpace(string(content)), err
}

// NATSTokenNow is nil where there is no token; else it returns the one that is
// in force, see [Settings.NATSPasswordNow].
func (s Settings) NATSTokenNow() func() string { return s.now("NATS_TOKEN", s.NATSToken) }

// NATSPasswordNow is nil where there is no password; else it returns what the
// password's file holds when it is called, or what it held at the start when it
// cannot be read.
func (s Settings) NATSPasswordNow() func() string { return s.now("NATS_PASSWORD", s.NATSPassword) }

func (s Settings) now(name string, atStart Secret) func() string {
	if atStart == "" {
		return nil
	}
	return func() string {
		if file := s.secretFiles[name]; file != "" {
			if fresh, err := readSecret(file); err == nil && fresh != "" {
				return fresh
			}
		}
		return atStart.Reveal()
	}
}
