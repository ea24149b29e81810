package config

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Entry describes an integration to people.
type Entry struct {
	Name, DisplayName, Site, ExternalID string
	// Where is the line of the file, or the variable, that defines it.
	Where string
	// KeyNames are what people call its keys.
	KeyNames []string
	// assumedSite is set where the entry names no site.
	assumedSite bool
	// Kinds are those that Sine sends, as the file says, or empty when it says
	// nothing.
	Kinds []visit.Kind
	// RejectMode is how a rejection is sent, and Confirmed that a test visit has
	// shown it to work.
	RejectMode relay.RejectMode
	Confirmed  bool
}

// loadIntegrations reads the integrations. What is wrong with one of them is its
// own: it is broken, and the others are not.
func (s *Settings) loadIntegrations(f *Problems) {
	file := s.readFile(f)
	name := filepath.Base(s.IntegrationsFile)
	at := fieldPath{f, name, &file.Defaults, defaultsOf}
	defaults := s.resolve(at, file.defaults).withDefaults(s.base(f))
	if !defaults.spec.IsZero() {
		defaults.fields = at.compile(defaults.spec)
		s.doubts(at, defaults.fields, defaults.spec)
	}
	seen := seenNames{}
	for i := range file.Integrations {
		s.addEntry(readEntry(name, i, &file.Integrations[i]), defaults, seen)
	}
	// An operator has no keys, and names the integration of the environment by its site.
	named := s.IntegrationsFile == "" || s.IsSet(Prefix+"SITE") && len(seen[relay.DefaultIntegration]) == 0
	if s.keysGiven() || s.keys == keyless && named {
		s.addDefault(f, seen, defaults)
	}
	switch {
	case file.partial, s.keys == keyless:
	case len(seen) == 0:
		f.setting("KEYS", "is required unless SINE_RELAY_INTEGRATIONS_FILE defines an integration: set it to the API key that you entered in Sine")
	case len(file.Integrations) > 0 && s.KeysDir == "":
		f.setting("KEYS_DIR", "is required: it holds the API keys of the integrations of SINE_RELAY_INTEGRATIONS_FILE")
	}
	// An integration that is there twice is neither the one nor the other.
	s.Integrations = slices.DeleteFunc(s.Integrations, func(i relay.Integration) bool { return len(seen[i.Name]) > 1 })
	s.Entries = slices.DeleteFunc(s.Entries, func(e Entry) bool { return len(seen[e.Name]) > 1 })
}

// seenNames are the places of each name.
type seenNames map[string][]string

// addEntry adds an integration of the file, or what is wrong with it.
func (s *Settings) addEntry(e fileEntry, defaults resolved, seen seenNames) {
	where := fmt.Sprintf("%s:%d", e.file, e.node.Line)
	e.check(seen, where)
	e.ExternalID = strings.TrimSpace(e.ExternalID)
	e.externalID(e.ExternalID)
	shown, own := e.fieldPath.capture(e.Capture), s.resolve(e.fieldPath, e.options)
	own.fields = e.compileOver(own, defaults)
	if len(*e.problems) == 0 {
		c := own.withDefaults(defaults)
		s.addIntegration(e.entry, where, shown, c)
		s.warnOfEntry(e, shown, c)
		s.doubts(e.fieldPath, c.fields, own.spec)
		return
	}
	name := e.Name
	if !visit.ValidName(name) {
		name = ""
	}
	if site := cmp.Or(e.Site, name); visit.ValidName(site) {
		s.brokenSites = append(s.brokenSites, site)
	}
	s.Invalid[name] = append(s.Invalid[name], *e.problems...)
	s.NonFatal = append(s.NonFatal, *e.problems...)
}

// base holds what the environment chooses for every integration.
func (s *Settings) base(f *Problems) resolved {
	zone, err := loadZone(s.TimeZone)
	if err != nil {
		f.setting("TIME_ZONE", "%s", err)
	}
	accept, reject := relay.DefaultAccept, relay.DefaultReject
	return resolved{
		deciders: []relay.Decider{{Name: relay.DefaultDecider}}, zone: zone, zoneAssumed: true, budget: s.DecisionBudget, rejectMode: relay.RejectByCode,
		accept: &accept, reject: &reject, confirmed: new(bool), fields: fields.Default,
	}
}

// check looks at an entry's names. One that is missing from an entry of which a part
// could not be read may stand in that part.
func (e fileEntry) check(seen seenNames, where string) {
	seen[e.Name] = append(seen[e.Name], where)
	switch {
	case e.Name == "" && e.partial:
	case !visit.ValidName(e.Name):
		e.add("name", "%s", invalidName(e.Name))
	case len(seen[e.Name]) > 1:
		e.add("name", "%q is used twice, first at %s", e.Name, seen[e.Name][0])
	}
	if e.Site != "" && !visit.ValidName(e.Site) {
		e.add("site", "%s", invalidName(e.Site))
	}
}

// addDefault adds the integration whose keys the environment holds.
func (s *Settings) addDefault(f *Problems, seen seenNames, c resolved) {
	if len(seen[relay.DefaultIntegration]) > 0 {
		f.setting("KEYS", "defines the integration %q, which the integrations file defines too: put its keys into SINE_RELAY_KEYS_DIR", relay.DefaultIntegration)
		return
	}
	seen[relay.DefaultIntegration] = []string{Prefix + "KEYS"}
	s.addIntegration(entry{Name: relay.DefaultIntegration, Site: s.Site}, Prefix+"KEYS", relay.Capture{}, c)
}

func (s *Settings) addIntegration(e entry, where string, shown relay.Capture, c resolved) {
	assumed := e.Site == ""
	e.Site = cmp.Or(e.Site, e.Name)
	described := Entry{
		Name: e.Name, DisplayName: e.DisplayName, Site: e.Site, ExternalID: e.ExternalID,
		Where: where, assumedSite: assumed,
		Kinds: c.kinds, RejectMode: c.rejectMode, Confirmed: *c.confirmed,
	}
	s.Entries = append(s.Entries, described)
	s.Integrations = append(s.Integrations, relay.Integration{
		Name: e.Name, DisplayName: e.DisplayName, Test: e.Test, NotConfirmed: described.notConfirmed(), Site: e.Site,
		Capture: shown, AllowFrom: c.allowFrom, Deciders: c.deciders,
		Zone: c.zone, ZoneAssumed: c.zoneAssumed, Budget: c.budget, RejectMode: c.rejectMode, Accept: *c.accept, Reject: *c.reject,
		Policy: policy.Policy{Combination: c.combination, RejectText: c.rejectText, Fallbacks: c.fallbacks},
		Events: c.kindAliases, PolicyVersion: s.policyVersion,
		ExternalID: e.ExternalID, Fields: c.fields, Expects: c.expects,
	})
}

// URLRow is what an operator enters into Sine for one integration.
type URLRow struct {
	Integration, DisplayName, Site, ExternalID string
	// URL is pinned to an event where Sine is said to send no other.
	URL string
	// KeyNames are what people call the keys of which one is entered.
	KeyNames []string
}

// URLTable lists what to enter into Sine, in the order of the integrations. Base
// is the address at which Sine reaches the relay, such as
// https://relay.example.com.
func (s Settings) URLTable(base string) []URLRow {
	rows := make([]URLRow, len(s.Entries))
	for i, e := range s.Entries {
		var only visit.Kind
		if len(e.Kinds) == 1 {
			only = e.Kinds[0]
		}
		rows[i] = URLRow{e.Name, e.DisplayName, e.Site, e.ExternalID, strings.TrimRight(base, "/") + relay.Path(e.Name, only), e.KeyNames}
	}
	return rows
}
