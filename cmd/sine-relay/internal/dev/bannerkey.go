package dev

import (
	"path/filepath"
	"regexp"
	"strings"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay"
)

// bannerKey is the API key for what is to be pasted. One that was given to dev is a
// secret of somebody else, and may be in a recording of the terminal: it is named, and
// the shell that a command is pasted into reads it.
type bannerKey struct {
	Shown  string // for people
	Header string // for a shell, in quotes
	Where  string // what the other terminal must have
}

// sampleKey names the key of an integration; made is the one that dev made, or empty.
func sampleKey(environ []string, keysDir string, i relay.Integration, made string) bannerKey {
	if made != "" {
		return bannerKey{Shown: made, Header: quoted("x-sine-auth: " + made)}
	}
	_, variable := config.Lookup(environ, config.Prefix+"KEYS")
	file, listed := config.Lookup(environ, config.Prefix+"KEYS_FILE")
	switch isDefault := i.Name == relay.DefaultIntegration; {
	case len(i.Keys) == 0:
		return bannerKey{Shown: "none: every call of " + i.Name + " is answered 401 until it has a key", Header: "'x-sine-auth: KEY'"}
	case isDefault && variable:
		return bannerKey{
			Shown: "the first of SINE_RELAY_KEYS", Header: `"x-sine-auth: ${SINE_RELAY_KEYS%%,*}"`,
			Where: ", with SINE_RELAY_KEYS exported as in this one",
		}
	case isDefault && listed:
		file = absolute(file)
		return bannerKey{Shown: "the first in " + file, Header: `"x-sine-auth: $(` + firstLine(file) + ` | cut -d , -f 1)"`}
	default:
		file = absolute(filepath.Join(keysDir, i.Name))
		return bannerKey{Shown: "the first in " + file, Header: `"x-sine-auth: $(` + firstLine(file) + `)"`}
	}
}

// firstLine is a command that prints the first line of keys of a file.
func firstLine(file string) string { return `grep -m 1 -vE '^[[:space:]]*(#|$)' ` + quoted(file) }

// bareWord needs no quotes in a shell.
var bareWord = regexp.MustCompile(`^[A-Za-z0-9_./:@%+=,-]+$`)

// quoted is a text as a word for a shell.
func quoted(text string) string {
	if bareWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
