package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Integration is one WebHook integration configured in Sine.
type Integration struct {
	// Name is the last part of the URL that is pasted into Sine.
	Name string
	// Site is the site that the integration belongs to; it becomes part of
	// subjects.
	Site string
	// Keys are the API keys that Sine may send. Several live keys let an
	// operator change them without a gap. Without one, every call is answered
	// 401.
	Keys []Key
	// Broken is an integration of which only the name is known: what else was
	// configured has faults. Every call is answered 401, rather than by a policy
	// that nobody wrote.
	Broken bool
	// Capture shows the shape of its next deliveries in the log.
	Capture Capture
	// AllowFrom are the addresses from which it may be called; none means all.
	AllowFrom []netip.Prefix
	// Deciders are asked about a check-in request, all at once. By default
	// that is one, [DefaultDecider].
	Deciders []Decider
	// Zone is the site's: deciders go by it, and a date without a zone was written
	// in it. Its name is one of the IANA database; the default is UTC.
	Zone *time.Location
	// Budget is how long a visitor waits for a decision at most, from the
	// arrival of the call to the answer.
	Budget time.Duration
	// Policy says how the verdicts of several deciders become one, all of them by
	// default, and what is decided without them. Its deciders are those above.
	Policy policy.Policy
	Say    Say
	// Accept and Reject are the bodies of the answers to a check-in request.
	Accept Template
	Reject Template
	// PolicyVersion names the rules in the records: the same name, the same
	// rules.
	PolicyVersion string
	// Events names further spellings of Sine's event names, for example
	// "visitor_arrived" for visit.KindCheckedIn.
	Events map[string]visit.Kind
	// IdentifiedBy is what says who a visitor is: one of it must be there, or
	// nobody is asked about the visitor. By default that is the name; an empty
	// list asks about whoever comes.
	IdentifiedBy []Identifier

	policy policy.Policy // complete, with the deciders
}

// Decider is one of those who are asked.
type Decider struct {
	// Name is the last part of the subject of its questions.
	Name string
	// Shadow is asked and not obeyed.
	Shadow bool
	// When is the condition under which it is asked; nil is always.
	When *condition.Condition
	// Fallbacks stand in for its decision, before those of the integration.
	Fallbacks map[policy.Situation]policy.Fallback
}

// DeciderNames are the names of all its deciders, in their order.
func (i *Integration) DeciderNames() []string {
	names := make([]string, len(i.Deciders))
	for n, d := range i.Deciders {
		names[n] = d.Name
	}
	return names
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
	if i.Broken {
		i = Integration{Name: i.Name, Site: i.Name, Broken: true}
		if !visit.ValidName(i.Name) {
			return i, fmt.Errorf("integration %q: name must match %s", i.Name, visit.NamePattern)
		}
		return i, nil
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }

	if i.Site == "" {
		i.Site = i.Name
	}
	if len(i.Deciders) == 0 {
		i.Deciders = []Decider{{Name: DefaultDecider}}
	}
	for what, name := range map[string]string{"name": i.Name, "site": i.Site} {
		if !visit.ValidName(name) {
			fault("%s %q must match %s", what, name, visit.NamePattern)
		}
	}
	for _, name := range i.DeciderNames() {
		if !visit.ValidName(name) {
			fault("decider %q must match %s", name, visit.NamePattern)
		}
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
	if i.IdentifiedBy == nil {
		i.IdentifiedBy = []Identifier{ByName}
	}
	if err := checkIdentifiers(i.IdentifiedBy); err != nil {
		fault("%w", err)
	}
	if err := i.Capture.check(); err != nil {
		fault("%w", err)
	}
	i.policy = i.Policy
	i.policy.Deciders = nil
	for _, d := range i.Deciders {
		i.policy.Deciders = append(i.policy.Deciders, policy.Decider{Name: d.Name, Shadow: d.Shadow, Fallbacks: d.Fallbacks})
	}
	var err error
	if i.policy, err = i.policy.Complete(); err != nil {
		fault("%w", err)
	}
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

// Identifier is a part of a pass that says who the visitor is. Its values are
// those of the configuration.
type Identifier string

const (
	ByName   Identifier = "name" // the first or the last
	ByEmail  Identifier = "email"
	ByMobile Identifier = "mobile"
)

// Identifiers are all of them.
var Identifiers = []Identifier{ByName, ByEmail, ByMobile}

// errUnidentified says why nobody was asked about a visitor, or what is odd about
// an event.
var errUnidentified = errors.New("the body does not say who the visitor is")

// identifies reports whether the pass says who the visitor is, by any one of what
// the integration goes by. An empty pass must not be taken for a visitor whom
// nothing speaks against.
func (i *Integration) identifies(p *visit.Pass) bool {
	return len(i.IdentifiedBy) == 0 || slices.ContainsFunc(i.IdentifiedBy, func(by Identifier) bool { return by.in(p) })
}

func (by Identifier) in(p *visit.Pass) bool {
	switch by {
	case ByName:
		return !visit.IsBlank(p.Person.FirstName) || !visit.IsBlank(p.Person.LastName)
	case ByEmail:
		return !visit.IsBlank(p.Person.Email)
	default:
		return !visit.IsBlank(p.Person.Mobile)
	}
}

func checkIdentifiers(all []Identifier) error {
	for _, by := range all {
		if !slices.Contains(Identifiers, by) {
			return fmt.Errorf("a visitor is identified by %v, not by %q", Identifiers, by)
		}
	}
	return nil
}
