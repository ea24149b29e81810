package config

import (
	"fmt"
	"path/filepath"
	"strings"
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
func (s *Settings) loadIntegrations() Faults {
	var faults Faults
	keys := newKeyring()
	if s.KeysDir != "" {
		faults = append(faults, keys.addDir(s.KeysDir)...)
	}
	var file integrationsFile
	where := ""
	if s.IntegrationsFile != "" {
		var misread Faults
		file, misread = readFile(s.IntegrationsFile)
		faults = append(faults, misread...)
		where = filepath.Base(s.IntegrationsFile) + ": "
		if misread != nil {
			return faults // what follows from it would only confuse
		}
	}
	entries := file.Integrations
	if s.Keys != "" {
		keys.addList(relay.DefaultIntegration, s.Keys.Reveal())
		for _, e := range entries {
			if e.Name == relay.DefaultIntegration {
				faults.add("SINE_RELAY_KEYS", "defines the integration %q, and so does the integrations file: give its keys by SINE_RELAY_KEYS_DIR", e.Name)
			}
		}
		entries = append(entries, entry{Name: relay.DefaultIntegration, Site: s.Site})
	}
	if len(entries) == 0 {
		faults.add("SINE_RELAY_KEYS", "is not set, and no integrations file names an integration: nobody could call. Set it to the API key that you typed into Sine")
	}
	seen := map[string]bool{}
	for i, e := range entries {
		at := place{faults: &faults, prefix: fmt.Sprintf("%sintegrations[%d]", where, i)}
		if i >= len(file.Integrations) {
			at.prefix = "integration default"
		}
		if seen[e.Name] {
			at.add("name", "%q is used twice", e.Name)
		}
		seen[e.Name] = true
		s.addIntegration(at, e, file.Defaults, keys)
	}
	for _, name := range sortedKeys(keys.keys) {
		if !seen[name] {
			faults.add("SINE_RELAY_KEYS_DIR", "the file %s belongs to no integration%s", name, didYouMean(name, sortedKeys(seen)))
		}
	}
	s.Warnings = keys.warnings
	return faults
}

// place collects faults below a place in the file.
type place struct {
	faults *Faults
	prefix string
}

func (p place) add(field, format string, args ...any) {
	p.faults.add(p.prefix+"."+field, format, args...)
}

func (s *Settings) addIntegration(at place, e entry, defaults options, keys *keyring) {
	o := e.options.or(defaults)
	if e.Site == "" {
		e.Site = e.Name
	}
	at.name("name", e.Name)
	at.name("site", e.Site)
	if o.Decider != "" {
		at.name("decider", o.Decider)
	}
	if visit.ValidName(e.Name) && len(keys.keys[e.Name]) == 0 {
		at.add("name", "%q has no key: put one into the file %s of SINE_RELAY_KEYS_DIR", e.Name, e.Name)
	}
	i := relay.Integration{
		Name: e.Name, Site: e.Site, Keys: keys.keys[e.Name], Decider: o.Decider,
		Zone:   at.zone(o.TimeZone, s.TimeZone),
		Budget: at.budget(o.DecisionBudget, s.DecisionBudget, s.WriteTimeout),
		Policy: door.Policy{RejectText: o.RejectText, Fallbacks: at.fallbacks(o.Fallbacks)},
		Say:    at.say(o.RejectBy),
		Accept: at.template("answers.accept", o.Answers.Accept, relay.DefaultAccept),
		Reject: at.template("answers.reject", o.Answers.Reject, relay.DefaultReject),
		Events: at.eventNames(o.EventNames),
	}
	described := Entry{
		Name: e.Name, DisplayName: e.DisplayName, Site: e.Site, ExternalID: e.ExternalID,
		Events: at.events(o.Events), RejectBy: i.Say,
		Confirmed: o.RejectionConfirmed != nil && *o.RejectionConfirmed,
	}
	for _, k := range i.Keys {
		described.KeyNames = append(described.KeyNames, k.Name())
	}
	s.Integrations = append(s.Integrations, i)
	s.Entries = append(s.Entries, described)
}

func (p place) name(field, value string) {
	if visit.ValidName(value) {
		return
	}
	proposal := ""
	if better := relay.SuggestName(value); better != "" {
		proposal = fmt.Sprintf("; how about %q? displayName is free text", better)
	}
	p.add(field, "%q must match %s%s", value, visit.NamePattern, proposal)
}

func (p place) zone(own, inherited string) *time.Location {
	name, field := own, "timeZone"
	if name == "" {
		name = inherited
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		p.add(field, "%q is no time zone; write for example Australia/Adelaide", name)
		return time.UTC
	}
	return zone
}

func (p place) budget(own string, inherited, limit time.Duration) time.Duration {
	if own == "" {
		return inherited
	}
	d, ok := parseDuration(own)
	switch {
	case !ok || d <= 0:
		p.add("decisionBudget", "%q is no duration; write for example 2.5s", own)
	case d >= limit:
		p.add("decisionBudget", "%s is not shorter than SINE_RELAY_WRITE_TIMEOUT, %s: the answer would never leave", d, limit)
	}
	return d
}

func (p place) say(by string) relay.Say {
	switch say := relay.Say(by); say {
	case "":
		return relay.SayCode
	case relay.SayCode, relay.SayStatus:
		return say
	default:
		p.add("rejectBy", "%q is neither code nor status", by)
		return relay.SayCode
	}
}

func (p place) template(field string, fields map[string]any, fallback relay.Template) relay.Template {
	if fields == nil {
		return fallback
	}
	t, err := relay.NewTemplate(fields)
	if err != nil {
		p.add(field, "%v", err)
	}
	return t
}

func (p place) fallbacks(configured map[string]fallback) map[door.Situation]door.Fallback {
	var known []string
	for _, s := range door.Missed {
		known = append(known, string(s))
	}
	all := map[door.Situation]door.Fallback{}
	for _, name := range sortedKeys(configured) {
		f, field := configured[name], "fallbacks."+name
		if !strings.Contains(" "+strings.Join(known, " ")+" ", " "+name+" ") {
			p.add(field, "is no situation%s; known are %s", didYouMean(name, known), strings.Join(known, ", "))
		}
		verdict := visit.Verdict(f.Answer)
		if verdict != "" && verdict != visit.Accept && verdict != visit.Reject {
			p.add(field+".answer", "%q is neither accept nor reject", f.Answer)
		}
		all[door.Situation(name)] = door.Fallback{Verdict: verdict, VisitorText: f.VisitorText, AdminNote: f.AdminNote}
	}
	return all
}

var kinds = []string{string(visit.CheckInRequest), string(visit.CheckedIn), string(visit.CheckedOut)}

func (p place) kind(field, name string) visit.Kind {
	if !strings.Contains(" "+strings.Join(kinds, " ")+" ", " "+name+" ") {
		p.add(field, "%q is no event; known are %s", name, strings.Join(kinds, ", "))
	}
	return visit.Kind(name)
}

func (p place) eventNames(names map[string]string) map[string]visit.Kind {
	all := map[string]visit.Kind{}
	for _, spelling := range sortedKeys(names) {
		all[spelling] = p.kind("eventNames."+spelling, names[spelling])
	}
	return all
}

func (p place) events(names []string) []visit.Kind {
	var all []visit.Kind
	for i, name := range names {
		all = append(all, p.kind(fmt.Sprintf("events[%d]", i), name))
	}
	return all
}
