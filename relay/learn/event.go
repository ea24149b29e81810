package learn

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// stage is what a word says about where in a visit something happens.
type stage int

const (
	entering stage = iota + 1
	leaving
	// asking stands before a pass is made, and done behind.
	asking
	done
)

var stageWords = wordsOf(map[stage]string{
	entering: "in checkin signin arrive arrival arriving enter entry entrance start started anmeldung entrada entree entrée ingresso aanmelding",
	leaving: "out checkout signout checkedout signedout exit exited leave leaving left departed departure depart ended end finished closed " +
		"abmeldung abgemeldet salida sortie uscita afmelding",
	asking: "before request requested requesting ask asking pre pending approve approval authorise authorize anfrage solicitud demande question permission",
	done:   "after success succeeded successful completed complete done checkedin signedin arrived entered issued created angemeldet",
})

var parts = regexp.MustCompile(`\p{Lu}*[^\p{Lu}\PL]+|\p{Lu}+`)

// tokens are the words of a text, also of one that joins them by capitals.
func tokens(text string) (all []string) {
	for _, word := range strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) }) {
		for _, part := range parts.FindAllString(word, -1) {
			all = append(all, strings.ToLower(part))
		}
	}
	return all
}

// kindByName says what an event's name seems to stand for, and whether it says so
// without doubt: "sign_in" may be before or after the pass is made.
func kindByName(name string) (kind visit.Kind, sure bool) {
	has := map[stage]bool{}
	words := tokens(name)
	for _, word := range append(words, fields.Spelling(name)) {
		has[stageWords[word]] = true
	}
	for n := range words[:max(0, len(words)-1)] { // sign in, checked out
		has[stageWords[strings.Join(words[n:n+2], "")]] = true
	}
	switch {
	case has[leaving] && has[asking]:
		return "", false
	case has[leaving]:
		return visit.KindCheckedOut, true
	case has[asking]:
		return visit.KindCheckInRequest, true
	case has[entering], has[done]:
		return visit.KindCheckedIn, has[done]
	default:
		return "", false
	}
}

// event finds the name of the event, and says what the names stand for.
func (l *learner) event() {
	if l.having(fields.Event) < len(l.samples) {
		l.eventPlace()
	}
	l.kinds()
}

func (l *learner) eventPlace() {
	var all []candidate
	for _, p := range l.places {
		if !l.helps(p, fields.Event) {
			continue
		}
		c := candidate{place: p, basis: "guess by name and by the values"}
		for _, g := range guessesByName(p.words) {
			if g.field == fields.Event {
				c.score = max(c.score, g.score)
			}
		}
		switch named := naming(p); {
		case named > 0 && named == len(p.texts()) && c.score > 0:
			c.score += byTerm
		case named == len(p.texts()) && distinct(p.texts()) > 1 && canBeEvent(p):
			c.score, c.basis = byVague, "guess by the values"
		case c.score < byTerm || named == 0 && p.segments() > 2:
			c.score = 0
		default:
			c.basis = "guess by name"
		}
		if c.score > 0 {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(b.score-a.score, b.count()-a.count(), a.segments()-b.segments())
	})
	for _, c := range all {
		if l.having(fields.Event) < len(l.samples) && l.propose(fields.Event, c.at) {
			l.proposed(fields.Event, c.at, c.basis)
		}
	}
}

// naming is how many of the values name an event.
func naming(p *place) (n int) {
	for _, text := range p.texts() {
		if kind, _ := kindByName(text); kind != "" && len(text) <= 64 {
			n++
		}
	}
	return n
}

// canBeEvent: what is said of people names no event, be it called In or Left.
func canBeEvent(p *place) bool {
	of := subjectOf(p.words)
	return (of == ofNothing || of == ofElsewhere) && len(p.words) > 0 && !isTerm(p.words[len(p.words)-1])
}

func distinct(texts []string) int {
	texts = slices.Clone(texts)
	slices.Sort(texts)
	return len(slices.Compact(texts))
}

// named are the bodies that have an event's name.
type named struct {
	name    string
	samples []*sample
}

// kinds says what each name stands for that the configuration does not know.
func (l *learner) kinds() {
	var all []*named
	for _, s := range l.samples {
		if s.now.Event == "" {
			continue
		}
		i := slices.IndexFunc(all, func(n *named) bool { return fields.Spelling(n.name) == fields.Spelling(s.now.Event) })
		if i < 0 {
			i, all = len(all), append(all, &named{name: s.now.Event})
		}
		all[i].samples = append(all[i].samples, s)
	}
	for _, n := range all {
		if l.o.KindOf(n.name) != "" {
			continue
		}
		alias := Alias[visit.Kind]{Word: n.name, Bodies: len(n.samples)}
		alias.Means, alias.Basis = l.kindOf(n, all)
		if !l.o.Values && !l.isShownAsEvent(n) {
			l.ask(fmt.Sprintf("%s of an event that is not shown: it may be a value. Repeat with --values.", count(len(n.samples), "body has the name", "bodies have the name")))
			continue
		}
		if alias.Means == "" {
			l.ask(fmt.Sprintf("What does the event %q stand for? %s.", n.name, alias.Basis))
		}
		l.report.Kinds = append(l.report.Kinds, alias)
		for _, s := range n.samples {
			s.kind = cmp.Or(s.kind, alias.Means)
		}
	}
}

// isShownAsEvent reports whether a name may be shown: it reads like one, and either says
// what an event does, or stands where the configuration has the name.
func (l *learner) isShownAsEvent(n *named) bool {
	kind, _ := kindByName(n.name)
	words := tokens(n.name)
	known := len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool { return stageWords[w] == 0 && subjectWords[w] == ofNothing && !eventWords[w] })
	return known || isShown("/"+escape(n.name)) && (kind != "" || l.findings[fields.Event] == nil)
}

// eventWords are in names of events beside those of a stage.
var eventWords = wordsOf(map[bool]string{true: "sign signed signing check checked checking event visitor visit by at the"})

// kindOf says what a name stands for: as the URL or the stream has it, or as the name and
// those beside it let one guess.
func (l *learner) kindOf(n *named, all []*named) (visit.Kind, string) {
	for _, s := range n.samples {
		if s.Kind != "" {
			return s.Kind, "as the URL or the stored event says"
		}
	}
	kind, sure := kindByName(n.name)
	if sure {
		return kind, "guess by name"
	}
	if kind == "" {
		return "", "Its name does not say it"
	}
	asked, checkedIn := false, false
	for _, other := range all {
		means := l.o.KindOf(other.name)
		if means == "" {
			guessed, certain := kindByName(other.name)
			if certain {
				means = guessed
			}
		}
		asked, checkedIn = asked || means == visit.KindCheckInRequest, checkedIn || means == visit.KindCheckedIn
	}
	switch {
	case asked && !checkedIn:
		return visit.KindCheckedIn, "guess by name: another one is that of the check-in request"
	case checkedIn && !asked:
		return visit.KindCheckInRequest, "guess by name: another one is that of the check-in"
	default:
		return "", "It is check_in_request if it comes before the pass is made, and checked_in if it comes after"
	}
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
