package relay

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay/door"
	"github.com/sine-relay/sine-relay/visit"
)

// Integration is one WebHook integration configured in Sine.
type Integration struct {
	// Name is the last part of the URL that is pasted into Sine.
	Name string
	// Site is the site that the integration belongs to; it becomes part of
	// subjects.
	Site string
	// Keys are the API keys that Sine may send, one at least. Several live
	// keys let an operator change them without a gap.
	Keys []Key
	// Decider is who is asked about a check-in request.
	Decider string
	// Zone is where a date without a zone was written.
	Zone *time.Location
	// Budget is how long a visitor waits for a decision at most, from the
	// arrival of the call to the answer.
	Budget time.Duration
	Policy door.Policy
	Say    Say
	// Accept and Reject are the bodies of the answers to a check-in request.
	Accept Template
	Reject Template
	// Events names further spellings of Sine's event names, for example
	// "visitor_arrived" for visit.CheckedIn.
	Events map[string]visit.Kind
}

// Say is how a rejection is said to Sine.
type Say string

const (
	// SayCode answers 200 and lets the body's code say no. The vendor
	// documents it; the visitor sees the text.
	SayCode Say = "code"
	// SayStatus answers 403 with the same body. Anything but a 200 stops the
	// check-in, so it holds even where the body is not understood.
	SayStatus Say = "status"
)

// Defaults for an [Integration].
const (
	DefaultIntegration = "default"
	DefaultDecider     = "default"
	DefaultBudget      = 2500 * time.Millisecond
)

// complete returns the integration with defaults in place of what is missing,
// or says everything that is wrong with it.
func (i Integration) complete() (Integration, error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if i.Site == "" {
		i.Site = i.Name
	}
	if i.Decider == "" {
		i.Decider = DefaultDecider
	}
	for what, name := range map[string]string{"name": i.Name, "site": i.Site, "decider": i.Decider} {
		if !visit.ValidName(name) {
			fault("%s %q must match %s", what, name, visit.NamePattern)
		}
	}
	if len(i.Keys) == 0 {
		fault("has no key")
	}
	if i.Zone == nil {
		i.Zone = time.UTC
	}
	if i.Budget == 0 {
		i.Budget = DefaultBudget
	}
	if i.Say == "" {
		i.Say = SayCode
	}
	if i.Accept.isZero() {
		i.Accept = DefaultAccept
	}
	if i.Reject.isZero() {
		i.Reject = DefaultReject
	}
	i.Policy = i.Policy.Complete()
	events := make(map[string]visit.Kind, len(i.Events))
	for name, kind := range i.Events {
		events[Spelling(name)] = kind
	}
	i.Events = events
	if len(faults) > 0 {
		return i, fmt.Errorf("integration %q: %w", i.Name, errors.Join(faults...))
	}
	return i, nil
}

// SuggestName turns a display name into one that is valid, or returns "" when
// nothing of it can be used.
func SuggestName(display string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(display) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			b.WriteRune(r)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	if len(s) > 64 {
		s = s[:64]
	}
	return strings.Trim(s, "-")
}
