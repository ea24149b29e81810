// Package learn reads the bodies of a few test visits, and proposes what the
// configuration of their integration must say so that the relay finds the fields in
// them: where each field is, what the events are called, what the ids are good for, how
// dates are written.
//
// It proposes, and a person decides. What is found at places that are configured or
// built in stays. Anything else is guessed by the name of a key, in a few languages, or
// by what the values look like, and the report says which of them it was. What could be
// one or the other is left open, with the question that settles it.
//
// The package is pure: no HTTP, no NATS, no clock. A report holds no value of a body
// unless [Options.Values] is set; of words it then holds those alone that name an event
// or a cause, and of keys those that read like the name of a field.
package learn

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// Body is what Sine sent.
type Body struct {
	// Text is without content encoding.
	Text []byte
	// Kind is that of the URL or of the stored event, or empty where neither says it.
	Kind visit.Kind
	// Received is when the relay received it, or zero. It settles how dates are written.
	Received time.Time

	// isForm is set where the values stand for others that are not known.
	isForm bool
}

// MaxBodies are read at most, the newest.
const MaxBodies = 500

// Options are what is known of the integration.
type Options struct {
	// Fields are as they are configured now.
	Fields *fields.Fields
	// KindOf says what an event's name stands for now, or is empty.
	KindOf func(event string) visit.Kind
	// Zone is that of the site.
	Zone *time.Location
	// MaxDepth is how deep a body may be nested.
	MaxDepth int
	// Values lets the report have values, and keys that may be values.
	Values bool
}

// Report is what was learned.
type Report struct {
	// Bodies were read, and Unread could not be, by reason. Repeated had the same bytes
	// as another one.
	Bodies, Repeated int
	Unread           map[visit.Reason]int
	// Fields are those that were found, or might be, or are missed, in the order of
	// [fields.All].
	Fields []Finding
	// Kinds and Causes are words that the configuration does not know.
	Kinds  []Alias[visit.Kind]
	Causes []Alias[visit.Cause]
	// Spec has the places, labels and dates that are proposed, each list whole.
	Spec fields.Spec
	// Why says of labels.label, labels.value, dates.formats and dates.timeZone what
	// supports them.
	Why map[string]string
	// Questions are for a person, a sentence or two each.
	Questions []string
}

// State is how a field stands.
type State string

const (
	// Found means at a place that is configured or built in.
	Found State = "found"
	// Proposed means at a place that the configuration does not have yet.
	Proposed State = "proposed"
	// Open means that a person must choose, or say what is right.
	Open State = "open"
	// NotFound means that nothing in the bodies looks like it.
	NotFound State = "not_found"
)

// Finding is what is known of a field.
type Finding struct {
	Field fields.Field
	State State
	// Places are where it was found, or is proposed to be looked for, or might be.
	Places []string
	// Looks describe its values without them.
	Looks []string
	// In is the number of bodies that have it, with what is proposed.
	In int
	// Basis is what supports it, in a few words.
	Basis string
	// Values are some, where [Options.Values] is set.
	Values []string
}

// Alias is a word that stands for something.
type Alias[T ~string] struct {
	Word string
	// Means is empty where a person must say it.
	Means T
	// Basis is what supports it.
	Basis string
	// Bodies are how many have it.
	Bodies int
}

// Analyse reads bodies and says what they have.
func Analyse(bodies []Body, o Options) *Report {
	l := &learner{
		o: o, fields: o.Fields, findings: map[fields.Field]*Finding{},
		report: &Report{Unread: map[visit.Reason]int{}, Why: map[string]string{}},
	}
	l.spec.Places = map[fields.Field][]string{}
	l.take(bodies)
	l.wrapper()
	l.collect()
	l.event()
	l.names()
	l.answers()
	l.ids()
	l.date()
	l.causes()
	return l.finish()
}

type learner struct {
	o       Options
	samples []*sample
	places  []*place
	// spec is what is proposed, and fields all that is configured then.
	spec     fields.Spec
	fields   *fields.Fields
	findings map[fields.Field]*Finding
	report   *Report
}

// sample is a body that could be read.
type sample struct {
	Body
	tree value
	// now is what is found with what is configured and proposed so far.
	now *fields.Report
	// kind is what it is, as far as it is known.
	kind visit.Kind
}

// take reads the newest bodies, each once.
func (l *learner) take(bodies []Body) {
	seen := map[string]bool{}
	if len(bodies) > MaxBodies {
		bodies = slices.Clone(bodies)
		slices.SortStableFunc(bodies, func(a, b Body) int { return b.Received.Compare(a.Received) })
		bodies = bodies[:MaxBodies]
	}
	for _, b := range bodies {
		if seen[string(b.Text)] {
			l.report.Repeated++
			continue
		}
		seen[string(b.Text)] = true
		now, reason := l.fields.Explain(b.Text, l.o.MaxDepth)
		if reason != "" {
			l.report.Unread[reason]++
			continue
		}
		tree, err := parse(b.Text, maxTexts)
		if err != nil {
			l.report.Unread[visit.ReasonNotJSON]++
			continue
		}
		l.samples = append(l.samples, &sample{Body: b, tree: tree, now: now})
	}
	l.report.Bodies = len(l.samples)
}

// apply reads the samples with what is proposed. A proposal that does not compile is
// taken back: it is a slip here, or there are too many places.
func (l *learner) apply(propose func(*fields.Spec)) bool {
	spec := l.spec
	spec.Places = map[fields.Field][]string{}
	for f, places := range l.spec.Places {
		spec.Places[f] = places
	}
	propose(&spec)
	compiled := l.o.Fields
	if !spec.IsZero() {
		var problems []fields.Problem
		if compiled, problems = fields.Compile(spec.Over(l.o.Fields.Spec())); len(problems) > 0 {
			return false
		}
	}
	l.spec, l.fields = spec, compiled
	for _, s := range l.samples {
		if now, reason := compiled.Explain(s.Text, l.o.MaxDepth); reason == "" {
			s.now = now
		}
		s.kind = s.Kind
		if s.kind == "" {
			s.kind = l.o.KindOf(s.now.Event)
		}
	}
	return true
}

// propose adds a place of a field, behind those that are proposed already and before
// those that are configured, and reports whether more bodies have the field then.
func (l *learner) propose(f fields.Field, place string) bool {
	before, takeBack := l.having(f), l.takeBack()
	ok := l.apply(func(s *fields.Spec) {
		own := s.Places[f]
		if own == nil {
			own = l.o.Fields.Spec().Places[f]
		}
		s.Places[f] = slices.Concat(own, []string{fields.Writable(place)})
	})
	if ok && l.having(f) > before {
		return true
	}
	takeBack()
	return false
}

// takeBack returns a function that undoes what is proposed from now on. To read all samples
// again by the places of before would take as long as the proposal did.
func (l *learner) takeBack() func() {
	spec, compiled := l.spec, l.fields
	samples := make([]sample, len(l.samples))
	for i, s := range l.samples {
		samples[i] = *s
	}
	return func() {
		l.spec, l.fields = spec, compiled
		for i, s := range l.samples {
			*s = samples[i]
		}
	}
}

// having is how many bodies have a field.
func (l *learner) having(f fields.Field) (n int) {
	for _, s := range l.samples {
		if s.now.Origin(f) != fields.Missing {
			n++
		}
	}
	return n
}

// found is what was found of a field in a sample, or nil.
func (s *sample) found(f fields.Field) *fields.Found {
	for i := range s.now.Found {
		if s.now.Found[i].Field == f {
			return &s.now.Found[i]
		}
	}
	return nil
}

// value is the text of a field, or empty.
func (s *sample) value(f fields.Field) string {
	if found := s.found(f); found != nil {
		return found.Value
	}
	return ""
}

// finding is that of a field, which is made where there is none.
func (l *learner) finding(f fields.Field) *Finding {
	if l.findings[f] == nil {
		l.findings[f] = &Finding{Field: f}
	}
	return l.findings[f]
}

// proposed notes that a place was proposed.
func (l *learner) proposed(f fields.Field, place, basis string) {
	found := l.finding(f)
	found.State, found.Basis = Proposed, basis
	found.Places = append(found.Places, fields.Writable(place))
}

// open notes places of which a person must choose, unless there is something better.
func (l *learner) open(f fields.Field, places []*place, basis string) {
	found := l.finding(f)
	if found.State != "" {
		return
	}
	found.State, found.Basis = Open, basis
	for _, p := range places[:min(len(places), maxOpen)] {
		found.Places = append(found.Places, fields.Writable(p.at))
		found.In = max(found.In, p.count())
		l.describe(found, p.texts())
	}
}

// maxOpen is how many places are shown to choose from.
const maxOpen = 4

// ask adds a question.
func (l *learner) ask(question string) {
	if !slices.Contains(l.report.Questions, question) {
		l.report.Questions = append(l.report.Questions, question)
	}
}
