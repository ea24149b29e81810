package config

import (
	"cmp"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// warn notes what is allowed and probably not meant.
func (s *Settings) warn() {
	s.warnOfRepeatedEvents()
	s.warnOfUnconfirmedRejections()
	s.warnOfNoEffect()
	s.warnOfTheUnasked()
	s.warnOfPasswordsInClear()
	s.warnOfOpenFiles()
	s.warnOfUnusualDurations()
	s.warnOfAssumedSites()
}

// warn adds a warning about an integration.
func (e Entry) warn(warnings *Problems, format string, args ...any) {
	warnings.about(e.Where, integrationOf(e.Name), format, args...)
}

// sends reports whether Sine sends the event through the integration, as far as
// the configuration tells.
func (e Entry) sends(kind visit.Kind) bool {
	return len(e.Kinds) == 0 || slices.Contains(e.Kinds, kind)
}

// warnOfRepeatedEvents: two integrations of a site that both send an event make two
// events of it, since Sine tells nothing by which they could be known as one.
func (s *Settings) warnOfRepeatedEvents() {
	for _, kind := range []visit.Kind{visit.KindCheckedIn, visit.KindCheckedOut} {
		bySite, verb := map[string][]Entry{}, map[string]string{}
		for _, e := range s.Entries {
			if !e.sends(kind) {
				continue
			}
			bySite[e.Site] = append(bySite[e.Site], e)
			if len(e.Kinds) == 0 {
				verb[e.Site] = "may each" // nothing is said about one of them
			}
		}
		for _, site := range sortedKeys(bySite) {
			if all := bySite[site]; len(all) > 1 {
				s.Warnings.about(all[0].Where, "integrations "+namesOf(all)+" of site "+site,
					"they %s send %s, which would be stored once for each; set \"kinds\" so that only one of them does", cmp.Or(verb[site], "each"), kind)
			}
		}
	}
}

func namesOf(entries []Entry) string {
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name
	}
	return shortened(names)
}

// notConfirmed reports whether no test visit has shown that Sine obeys a rejection.
func (e Entry) notConfirmed() bool {
	return e.RejectMode == relay.RejectByCode && !e.Confirmed && e.sends(visit.KindCheckInRequest)
}

func (s *Settings) warnOfUnconfirmedRejections() {
	for _, e := range s.Entries {
		if e.notConfirmed() {
			e.warn(&s.Warnings, "no test visit has confirmed that Sine obeys rejectMode: code; make one, then set rejectionConfirmed: true, or set rejectMode: status until then")
		}
	}
}

// warnOfNoEffect names settings of the kind of NATS that is not used, and of the
// integration that is not there.
func (s *Settings) warnOfNoEffect() {
	reason, idle := "the embedded NATS is used", []string{
		"NATS_CREDENTIALS_FILE", "NATS_NKEY_FILE", "NATS_TOKEN", "NATS_USER", "NATS_PASSWORD",
		"NATS_CA_FILE", "NATS_CERT_FILE", "NATS_KEY_FILE",
	}
	if s.NATSURL != "" {
		reason, idle = "an existing NATS is used", []string{
			"NATS_LISTEN", "NATS_LISTEN_TLS_CERT_FILE", "NATS_LISTEN_TLS_KEY_FILE", "NATS_LISTEN_PLAINTEXT",
		}
	}
	idle = slices.DeleteFunc(idle, func(name string) bool { return !s.IsSet(Prefix + name) })
	for _, name := range idle {
		s.Warnings.setting(name, "has no effect: %s", reason)
	}
	if !s.keysGiven() && s.IsSet(Prefix+"SITE") {
		s.Warnings.setting("SITE", "has no effect without SINE_RELAY_KEYS, which defines the integration of the environment")
	}
}

// warnOfTheUnasked: where every decider has a condition, one that applies to nobody
// by a slip lets everybody in.
func (s *Settings) warnOfTheUnasked() {
	for n, i := range s.Integrations {
		always := slices.ContainsFunc(i.Deciders, func(d relay.Decider) bool { return !d.Shadow && d.Condition == nil })
		if !always && s.Entries[n].sends(visit.KindCheckInRequest) && i.Policy.Fallbacks[policy.Unasked].Verdict == "" {
			s.Entries[n].warn(&s.Warnings, "every decider has a condition: a visitor to whom none applies is accepted without a decision; if that is intended, set fallbacks: {unasked: {decision: accept}}, else reject")
		}
	}
}

// warnOfPasswordsInClear: a user's password or a token is sent as it is. Credentials
// and nkeys only sign.
func (s *Settings) warnOfPasswordsInClear() {
	for i, server := range s.NATSServers() {
		u, err := url.Parse(server)
		if err != nil || onThisMachine(u.Hostname()) || s.NATSPassword == "" && s.NATSToken == "" && u.User == nil {
			continue
		}
		secure := map[string]string{"nats": "tls", "ws": "wss"}[u.Scheme]
		if secure == "" || u.Scheme == "nats" && (s.NATSCAFile != "" || s.NATSCertFile != "") {
			continue // with authorities or a certificate of its own, the relay demands TLS
		}
		s.Warnings.setting("NATS_URL", "server %d is another machine, and %s:// does not require TLS: the NATS password may cross the network in clear text; use %s://", i+1, u.Scheme, secure)
	}
}

func onThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// warnOfOpenFiles looks at the files with secrets. Those of keys are looked at where
// they are read.
func (s *Settings) warnOfOpenFiles() {
	secrets := map[string]string{
		"TLS_KEY_FILE": s.TLSKeyFile, "NATS_LISTEN_TLS_KEY_FILE": s.NATSListenTLSKey, "NATS_KEY_FILE": s.NATSKeyFile,
		"NATS_CREDENTIALS_FILE": s.NATSCredentialsFile, "NATS_NKEY_FILE": s.NATSNKeyFile,
	}
	for name, file := range s.secretFiles {
		if name != "KEYS" {
			secrets[name+"_FILE"] = file
		}
	}
	for _, name := range sortedKeys(secrets) {
		if secrets[name] != "" && worldReadable(secrets[name]) {
			s.Warnings.setting(name, "the file is readable by every user of this machine: chmod o-r it")
		}
	}
}

// warnOfEntry notes what an entry of the file says and nothing comes of.
func (s *Settings) warnOfEntry(e fileEntry, shown relay.Capture, c resolved) {
	p := e.fieldPath
	p.problems = &s.Warnings
	if e.Capture != (capture{}) && shown.Until.Before(time.Now()) {
		p.add("capture.until", "is in the past, so nothing is captured: set a later time, or remove capture")
	}
	sends := func(kind visit.Kind) bool { return len(c.kinds) == 0 || slices.Contains(c.kinds, kind) }
	if !sends(visit.KindCheckInRequest) {
		for _, field := range e.forDeciders() {
			p.add(field, "has no effect: kinds does not contain check_in_request")
		}
	}
	if !sends(visit.KindCheckedOut) {
		for _, field := range e.ofCheckOuts() {
			p.add(field, "has no effect: kinds does not contain checked_out")
		}
	}
}

// ofCheckOuts are the fields given that are about check-outs alone.
func (o options) ofCheckOuts() (given []string) {
	if len(o.CauseAliases) > 0 {
		given = append(given, "causeAliases")
	}
	if len(o.Fields[string(fields.Cause)]) > 0 {
		given = append(given, "fields."+string(fields.Cause))
	}
	return given
}

// forDeciders are the fields given that are about check-in requests alone.
func (o options) forDeciders() (given []string) {
	for _, field := range []struct {
		name  string
		given bool
	}{
		{"decider", o.Decider != ""}, {"deciders", o.Deciders != nil}, {"combine", o.Combine != ""}, {"decisionBudget", o.DecisionBudget != ""},
		{"rejectMode", o.RejectMode != ""}, {"rejectText", o.RejectText != ""}, {"fallbacks", len(o.Fallbacks) > 0},
	} {
		if field.given {
			given = append(given, field.name)
		}
	}
	return given
}

// warnOfAssumedSites: where others name their site, one that does not was probably
// forgotten. Its own name is then the site, and nobody may decide or listen there.
func (s *Settings) warnOfAssumedSites() {
	named := map[string]bool{}
	for _, e := range s.Entries {
		if !e.assumedSite && e.Where != Prefix+"KEYS" {
			named[e.Site] = true
		}
	}
	for _, e := range s.Entries {
		if e.assumedSite && len(named) > 0 && !named[e.Site] {
			e.warn(&s.Warnings, "has no site: its name is used as the site, with deciders and subscribers of its own; set site, also where that is intended")
		}
	}
}

// shortBudget is one in which hardly anybody across a network does anything.
const shortBudget = 100 * time.Millisecond

// warnOfUnusualDurations: what is a thousand times too short or too long is a slip
// of the unit.
func (s *Settings) warnOfUnusualDurations() {
	const day = 24 * time.Hour
	for _, d := range []struct {
		name               string
		value, least, most time.Duration
	}{
		{"DECISION_BUDGET", s.DecisionBudget, shortBudget, time.Minute},
		{"STORE_BUDGET", s.StoreBudget, shortBudget, time.Minute},
		{"READ_TIMEOUT", s.ReadTimeout, shortBudget, 5 * time.Minute},
		{"WRITE_TIMEOUT", s.WriteTimeout, 0, 10 * time.Minute},
		{"IDLE_TIMEOUT", s.IdleTimeout, time.Second, day},
		{"DRAIN_DELAY", s.DrainDelay, 0, 10 * time.Minute},
		{"SHUTDOWN_TIMEOUT", s.ShutdownTimeout, shortBudget, 10 * time.Minute},
		{"ORDERS_MAX_AGE", s.OrdersMaxAge, 0, time.Hour},
		{"OVERRIDE_MAX_DURATION", s.OverrideMax, time.Minute, 31 * day},
		{"SPOOL_MAX_AGE", s.SpoolMaxAge, time.Second, 400 * day},
		{"STREAM_DEDUPE_WINDOW", s.DedupeWindow, time.Minute, 31 * day},
	} {
		switch {
		case d.value <= 0: // a problem of its own, or meant
		case d.value < d.least:
			s.Warnings.setting(d.name, "%s is unusually short: less than %s", d.value, d.least)
		case d.value > d.most:
			s.Warnings.setting(d.name, "%s is unusually long: more than %s", d.value, d.most)
		}
	}
}
