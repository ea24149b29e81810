package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// fieldPath adds the problems of the fields below a node of the file.
type fieldPath struct {
	problems *Problems
	file     string
	node     *yaml.Node
	of       string
}

func (p fieldPath) add(field, format string, args ...any) {
	p.problems.about(fmt.Sprintf("%s:%d", p.file, lineOf(p.node, field)), p.of, "%s: %s", field, fmt.Sprintf(format, args...))
}

// lineOf is the line of a field such as deciders[0].name below a node, or that of
// the innermost node around it which is there.
func lineOf(node *yaml.Node, field string) int {
	if node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	field = strings.TrimPrefix(field, ".")
	best := 0 // a name may have dots: the longest one counts
	line, below, rest := node.Line, (*yaml.Node)(nil), ""
	for i := 0; i+1 < len(node.Content) && node.Kind == yaml.MappingNode; i += 2 {
		key := node.Content[i]
		after, ok := strings.CutPrefix(field, key.Value)
		if ok && len(key.Value) > best && (after == "" || after[0] == '.' || after[0] == '[') {
			best, line, below, rest = len(key.Value), key.Line, node.Content[i+1], after
		}
	}
	var n int
	if node.Kind == yaml.SequenceNode {
		if _, err := fmt.Sscanf(field, "[%d]", &n); err == nil && n < len(node.Content) {
			_, rest, _ = strings.Cut(field, "]")
			line, below = node.Content[n].Line, node.Content[n]
		}
	}
	if below == nil || rest == "" {
		return line
	}
	return lineOf(below, rest)
}

// resolve parses the options of a node. A problem is reported there once,
// however many integrations inherit it.
func (s *Settings) resolve(p fieldPath, o options) resolved {
	c := resolved{
		allowFrom: p.allowFrom(o.AllowFrom), deciders: p.deciders(o), combination: p.combination(o.Combine), confirmed: o.RejectionConfirmed, rejectText: unlessBlank(o.RejectText),
		zone: p.zone(o.TimeZone), rejectMode: p.rejectMode(o.RejectMode), kinds: p.kinds(o.Kinds),
		kindAliases: p.kindAliases(o.KindAliases), spec: p.spec(o), expects: p.expects("expects", o.Expects), fallbacks: p.fallbacks("fallbacks", o.Fallbacks, policy.Missed),
		accept: p.template("responses.accept", o.Responses.Accept), reject: p.template("responses.reject", o.Responses.Reject),
	}
	p.text("rejectText", o.RejectText)
	if o.DecisionBudget != "" {
		c.budget = s.budget(p, o.DecisionBudget)
	}
	return c
}

func (s *Settings) budget(p fieldPath, value string) time.Duration {
	d, ok := parseDuration(value)
	switch {
	case !ok:
		p.add("decisionBudget", "%s", invalidDuration(value))
	case d <= 0:
		p.add("decisionBudget", "must be positive, got %s", d)
	case s.outlasts(d) != "":
		p.add("decisionBudget", "%s", s.outlasts(d))
	case d < shortBudget:
		p.problems = &s.Warnings
		p.add("decisionBudget", "%s is unusually short: less than %s", d, shortBudget)
	}
	return d
}

func (p fieldPath) zone(name string) *time.Location {
	if name == "" {
		return nil
	}
	zone, err := loadZone(name)
	if err != nil {
		p.add("timeZone", "%s", err)
	}
	return zone
}

// loadZone refuses what package time takes and nobody else knows: Local is the zone
// of whichever machine reads it.
func loadZone(name string) (*time.Location, error) {
	zone, err := time.LoadLocation(name)
	if err != nil || zone == time.Local {
		return nil, fmt.Errorf("must be a time zone of the IANA database such as Australia/Adelaide, got %q", name)
	}
	return zone, nil
}

func (p fieldPath) rejectMode(mode string) relay.RejectMode {
	m := relay.RejectMode(mode)
	if m != "" && m != relay.RejectByCode && m != relay.RejectByStatus {
		p.add("rejectMode", "must be code or status, got %q", mode)
	}
	return m
}

func (p fieldPath) template(field string, fields map[string]any) *relay.Template {
	if fields == nil {
		return nil
	}
	t, err := relay.NewTemplate(fields)
	if err != nil {
		p.add(field, "%v", err)
	}
	return &t
}

var placeholder = regexp.MustCompile(`\{[A-Za-z]*\}`)

// text looks for placeholders that the texts of a fallback do not have: the visitor
// would read them as they are.
func (p fieldPath) text(field, text string) {
	for _, found := range placeholder.FindAllString(text, -1) {
		if found != "{ref}" {
			p.add(field, "unknown placeholder %s; only {ref}, the reference, is replaced here", found)
		}
	}
}

// unlessBlank is a text that shows something, or empty: a blank one is inherited.
func unlessBlank(text string) string {
	if visit.IsBlank(text) {
		return ""
	}
	return text
}

func (p fieldPath) fallbacks(field string, configured map[string]fallback, situations []policy.Situation) map[policy.Situation]policy.Fallback {
	var known []string
	for _, s := range situations {
		known = append(known, string(s))
	}
	all := map[policy.Situation]policy.Fallback{}
	for _, name := range sortedKeys(configured) {
		f, field := configured[name], field+"."+name
		if !slices.Contains(known, name) {
			p.add(field, "unknown situation%s; must be one of %s", DidYouMean(name, known), strings.Join(known, ", "))
		}
		verdict := visit.Verdict(f.Decision)
		if verdict != "" && verdict != visit.Accept && verdict != visit.Reject {
			p.add(field+".decision", "must be accept or reject, got %q", f.Decision)
		}
		p.text(field+".visitorText", f.VisitorText)
		p.text(field+".adminNote", f.AdminNote)
		all[policy.Situation(name)] = policy.Fallback{Verdict: verdict, VisitorText: unlessBlank(f.VisitorText), AdminNote: unlessBlank(f.AdminNote)}
	}
	return all
}

// capture reads what of an integration is to be shown in the log, and until when.
func (p fieldPath) capture(c capture) relay.Capture {
	if c == (capture{}) {
		return relay.Capture{}
	}
	if c.Deliveries < 1 || c.Deliveries > relay.MaxCapture {
		p.add("capture.deliveries", "must be between 1 and %d, got %d", relay.MaxCapture, c.Deliveries)
	}
	until, err := time.Parse(time.RFC3339, c.Until)
	if err != nil {
		p.add("capture.until", "must be a time in RFC 3339 such as 2026-11-30T18:00:00Z, got %q", c.Until)
	}
	return relay.Capture{Deliveries: c.Deliveries, Until: until}
}

var knownKinds = []string{string(visit.KindCheckInRequest), string(visit.KindCheckedIn), string(visit.KindCheckedOut)}

func (p fieldPath) kind(field, name string) visit.Kind {
	if !slices.Contains(knownKinds, name) {
		p.add(field, "must be one of %s, got %q%s", strings.Join(knownKinds, ", "), name, DidYouMean(name, knownKinds))
	}
	return visit.Kind(name)
}

// kinds keeps an empty list apart from none: it undoes a default.
func (p fieldPath) kinds(names []string) []visit.Kind {
	if names == nil {
		return nil
	}
	all := make([]visit.Kind, len(names))
	for i, name := range names {
		all[i] = p.kind(fmt.Sprintf("kinds[%d]", i), name)
	}
	return all
}

// kindAliases returns kinds by spelling. Two entries of one spelling would win in
// turns.
func (p fieldPath) kindAliases(names map[string]string) map[string]visit.Kind {
	all := map[string]visit.Kind{}
	for _, name := range sortedKeys(names) {
		field, key := "kindAliases."+name, fields.Spelling(name)
		kind := p.kind(field, names[name])
		if other, twice := all[key]; twice && other != kind {
			p.add(field, "is another spelling of a name that already stands for %s", other)
		}
		if key == "" {
			p.add(field, "contains neither a letter nor a digit")
		}
		all[key] = kind
	}
	return all
}
