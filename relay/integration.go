package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/drift"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Integration is one WebHook integration configured in Sine. Where a field says nothing
// of a default, it must be set.
type Integration struct {
	// Name is the last part of the URL that is pasted into Sine.
	Name string
	// DisplayName is its name for people, if it has one.
	DisplayName string
	// Test marks it for tests: programs may check in made-up visitors there.
	Test bool
	// NotConfirmed is set where no test visit has shown that Sine obeys its rejections.
	NotConfirmed bool
	// Site is the site that the integration belongs to; it becomes part of
	// subjects.
	Site string
	// Keys are the API keys that Sine may send. Several live keys let an
	// operator change them without a gap. Without one, every webhook is answered
	// 401.
	Keys []Key
	// Invalid is an integration of which only the name is known: the rest of its
	// configuration is invalid. Every webhook is answered 401, rather than by a
	// policy that nobody wrote.
	Invalid bool
	// Capture shows the shape of its next deliveries in the log, of none by default.
	Capture Capture
	// AllowFrom are the addresses from which it may be called, all by default.
	AllowFrom []netip.Prefix
	// Deciders are asked about a check-in request, all at once.
	Deciders []Decider
	// Policy says how the verdicts of several deciders become one, all of them by
	// default, and what is decided without them. Its deciders are those above.
	Policy policy.Policy
	// Zone is the site's: deciders go by it, and a date without a zone was written
	// in it. Its name is one of the IANA database.
	Zone *time.Location
	// ZoneAssumed is set where nothing says so of this integration, and Zone is that of the
	// relay's environment: what is stored or quarantined is read again in the zone that the
	// relay noted.
	ZoneAssumed bool
	// Budget is how long a visitor waits for a decision at most, from the
	// arrival of the request to the response.
	Budget     time.Duration
	RejectMode RejectMode
	// Accept and Reject are the bodies of the responses to a check-in request.
	Accept Template
	Reject Template
	// PolicyVersion names the rules in the records: the same name, the same
	// rules. It may be empty.
	PolicyVersion string
	// Events names further spellings of Sine's event names, for example
	// "visitor_arrived" for visit.KindCheckedIn. There are none by default.
	Events map[string]visit.Kind
	// ExternalID is the external id that was entered in Sine, if any.
	ExternalID string
	// Fields are the places in which the fields of a body are looked for, the built-in
	// ones by default.
	Fields *fields.Fields
	// Expects is what a body must have: about a check-in request that lacks something,
	// no decider is asked, and the fallback for [policy.Incomplete] decides; an event
	// is marked. By default that is the visitor's first or last name; an empty list
	// expects nothing.
	Expects []fields.Expectation

	policy policy.Policy // complete, with the deciders
	drift  *drift.Watch  // set when a relay answers by it
	// lastReceived is when the last authenticated webhook came, in milliseconds since
	// 1970, or 0. It is that of the integration of this name before a reload, too.
	lastReceived *atomic.Int64
	// ownExpectations is set where a decider has expectations of its own.
	ownExpectations bool
}

// Decider is one of those that are asked.
type Decider struct {
	// Name is the last part of the subject on which it is asked.
	Name string
	// Shadow is asked and not obeyed.
	Shadow bool
	// Condition is the one under which it is asked; nil is always.
	Condition *condition.Condition
	// Expects are its own expectations in place of the integration's. An empty list
	// takes check-in requests whatever they lack; nil expects what the integration
	// does.
	Expects []fields.Expectation
	// Fallbacks stand in for its decision, before those of the integration.
	Fallbacks map[policy.Situation]policy.Fallback
}

// DeciderNames are the names of all its deciders, in their order.
func (in *Integration) DeciderNames() []string {
	names := make([]string, len(in.Deciders))
	for i, d := range in.Deciders {
		names[i] = d.Name
	}
	return names
}

// RejectMode is how a rejection is expressed to Sine.
type RejectMode string

const (
	// RejectByCode answers 200 and lets the body's code say no. The vendor
	// documents it; the visitor sees the text.
	RejectByCode RejectMode = "code"
	// RejectByStatus answers 403 with the same body. Anything but a 200 stops the
	// check-in, so it holds even where the body is not understood.
	RejectByStatus RejectMode = "status"
)

// Names of what is configured without a name.
const (
	DefaultIntegration = "default"
	DefaultDecider     = "default"
)

// complete returns the integration with its defaults, or says everything that is
// wrong with it.
func (in Integration) complete() (Integration, error) {
	if in.Invalid {
		in = Integration{Name: in.Name, Site: in.Name, Invalid: true}
	}
	var errs []error
	for what, name := range map[string]string{"name": in.Name, "site": in.Site} {
		if !visit.ValidName(name) {
			errs = append(errs, fmt.Errorf("%s %q must match %s", what, name, visit.NamePattern))
		}
	}
	if !in.Invalid {
		errs = append(errs, in.completePolicy())
	}
	if in.Fields == nil {
		in.Fields = fields.Default
	}
	if in.Expects == nil {
		in.Expects = []fields.Expectation{fields.Person}
	}
	in.ownExpectations = slices.ContainsFunc(in.Deciders, func(d Decider) bool { return d.Expects != nil })
	events := make(map[string]visit.Kind, len(in.Events))
	for name, kind := range in.Events {
		events[fields.Spelling(name)] = kind
	}
	in.Events = events
	if err := errors.Join(errs...); err != nil {
		return in, fmt.Errorf("integration %q: %w", in.Name, err)
	}
	return in, nil
}

func (in *Integration) completePolicy() (err error) {
	in.policy = in.Policy
	in.policy.Deciders = nil
	for _, d := range in.Deciders {
		in.policy.Deciders = append(in.policy.Deciders, policy.Decider{Name: d.Name, Shadow: d.Shadow, Fallbacks: d.Fallbacks})
	}
	in.policy, err = in.policy.Complete()
	return err
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

// lacks are the fields that are expected of a body and missing from it. An empty pass
// must not be taken for a visitor whom nothing speaks against.
func (in *Integration) lacks(b *fields.Body) []string { return b.Lacks(in.Expects) }
