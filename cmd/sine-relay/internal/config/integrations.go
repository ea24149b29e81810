package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/door"
	"github.com/sine-relay/sine-relay/visit"
)

// Entry describes an integration to people.
type Entry struct {
	Name, DisplayName, Site, ExternalID string
	// KeyNames are what people call its keys.
	KeyNames []string
	// Events are those that Sine is said to send, or none when nothing is
	// said.
	Events []visit.Kind
	// RejectBy is how a rejection is said, and Confirmed that a test visit has
	// shown it to work.
	RejectBy  relay.Say
	Confirmed bool
}

// loadIntegrations reads the integrations and their keys.
func (s *Settings) loadIntegrations(f *Faults) {
	file := s.readFile(f)
	where := filepath.Base(s.IntegrationsFile) + ": "
	defaults := s.choose(place{f, where + "defaults"}, file.Defaults).or(s.base(f))
	keys := newKeyring(f)
	keys.addDir(s.KeysDir)

	seen := map[string]bool{}
	for i, e := range file.Integrations {
		p := place{f, fmt.Sprintf("%sintegrations[%d]", where, i)}
		s.checkEntry(p, e, seen, file.partial)
		if len(keys.of(e.Name)) == 0 && visit.ValidName(e.Name) && keys.complete {
			p.add("name", "%q has no key: put one into the file %s of SINE_RELAY_KEYS_DIR", e.Name, e.Name)
		}
		s.addIntegration(e, p.capture(e.Capture), s.choose(p, e.options).or(defaults), keys)
	}
	if s.Keys != "" {
		s.addDefault(f, seen, defaults, keys)
	}
	switch {
	case file.partial:
	case len(seen) == 0:
		f.setting("KEYS", "is not set, and no integrations file names an integration: nobody could call. Set it to the API key that you typed into Sine")
	case len(file.Integrations) > 0 && s.KeysDir == "":
		f.setting("KEYS_DIR", "is not set, and the integrations of SINE_RELAY_INTEGRATIONS_FILE have no keys without it")
	}
	if !file.partial && !seen[""] {
		keys.checkOwners(seen)
	}
	s.Warnings = keys.warnings
}

// base holds what the environment chooses for every integration.
func (s *Settings) base(f *Faults) choices {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil {
		f.setting("TIME_ZONE", "%s", noZone(s.TimeZone))
	}
	accept, reject := relay.DefaultAccept, relay.DefaultReject
	return choices{
		deciders: []relay.Decider{{Name: relay.DefaultDecider}}, zone: zone, budget: s.DecisionBudget, say: relay.SayCode,
		accept: &accept, reject: &reject, confirmed: new(bool),
	}
}

// checkEntry looks at an entry's names. One that is missing from a file of which
// a part could not be read may stand in that part.
func (s *Settings) checkEntry(p place, e entry, seen map[string]bool, partial bool) {
	switch {
	case e.Name == "" && partial:
	case !visit.ValidName(e.Name):
		p.add("name", "%s", noName(e.Name))
	case seen[e.Name]:
		p.add("name", "%q is used twice", e.Name)
	}
	if e.Site != "" && !visit.ValidName(e.Site) {
		p.add("site", "%s", noName(e.Site))
	}
	seen[e.Name] = true
}

// addDefault adds the integration whose keys the environment holds.
func (s *Settings) addDefault(f *Faults, seen map[string]bool, c choices, keys *keyring) {
	if seen[relay.DefaultIntegration] {
		f.setting("KEYS", "defines the integration %q, and so does the integrations file: give its keys by SINE_RELAY_KEYS_DIR", relay.DefaultIntegration)
		return
	}
	seen[relay.DefaultIntegration] = true
	keys.addList(Prefix+"KEYS", relay.DefaultIntegration, s.Keys.Reveal())
	if len(keys.of(relay.DefaultIntegration)) == 0 {
		f.setting("KEYS", "holds no key")
	}
	s.addIntegration(entry{Name: relay.DefaultIntegration, Site: s.Site}, relay.Capture{}, c, keys)
}

func (s *Settings) addIntegration(e entry, shown relay.Capture, c choices, keys *keyring) {
	e.Site = cmp.Or(e.Site, e.Name)
	described := Entry{
		Name: e.Name, DisplayName: e.DisplayName, Site: e.Site, ExternalID: e.ExternalID,
		Events: c.events, RejectBy: c.say, Confirmed: *c.confirmed,
	}
	for _, k := range keys.of(e.Name) {
		described.KeyNames = append(described.KeyNames, k.Name())
	}
	s.Entries = append(s.Entries, described)
	s.Integrations = append(s.Integrations, relay.Integration{
		Name: e.Name, Site: e.Site, Keys: keys.of(e.Name), Capture: shown, AllowFrom: c.allowFrom, Deciders: c.deciders, Combination: c.combination,
		Zone: c.zone, Budget: c.budget, Say: c.say, Accept: *c.accept, Reject: *c.reject,
		Policy: door.Policy{RejectText: c.rejectText, Fallbacks: c.fallbacks},
		Events: c.eventNames, PolicyVersion: s.policyVersion,
	})
}
