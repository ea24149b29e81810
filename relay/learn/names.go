package learn

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/sine-relay/sine-relay/relay/fields"
)

// place is where several bodies have a value.
type place struct {
	at    string
	words []string
	// values are those of the samples, by their numbers. One that is absent has no kind.
	values []value
}

func (p *place) count() (n int) {
	for _, v := range p.values {
		if v.kind != 0 {
			n++
		}
	}
	return n
}

func (p *place) texts() (all []string) {
	for _, v := range p.values {
		if v.isScalar() && v.kind != 0 && !v.unseen {
			all = append(all, v.text)
		}
	}
	return all
}

// segments are how deep it is.
func (p *place) segments() int { return strings.Count(p.at, "/") }

// collect gathers the places of all samples.
func (l *learner) collect() {
	byAt := map[string]*place{}
	for i, s := range l.samples {
		for _, leaf := range s.leaves() {
			if leaf.at == "" || !l.o.Values && !isShown(leaf.at) {
				continue
			}
			p := byAt[leaf.at]
			if p == nil {
				p = &place{at: leaf.at, words: leaf.words, values: make([]value, len(l.samples))}
				byAt[leaf.at] = p
				l.places = append(l.places, p)
			}
			if p.values[i].kind == 0 { // the first that has it counts
				p.values[i] = leaf.value
				p.values[i].unseen = s.isForm
			}
		}
	}
}

// leaves are those of the body, with the wrapped object's by the places that begin there.
func (s *sample) leaves() []leaf {
	wrapped := s.found(fields.Wrapper)
	if wrapped == nil {
		return leaves(s.tree, "")
	}
	at := wrapped.At[0]
	return slices.Concat(leaves(s.tree.resolve(at), ""), leaves(s.tree, at))
}

// resolve is what an exact pointer leads to.
func (v value) resolve(pointer string) value {
	for segment := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		key, next := unescapes.Replace(segment), value{}
		for i, member := range v.members {
			if v.kind == '{' && v.keys[i] == key || v.kind == '[' && indexOf(key) == i {
				next = member
			}
		}
		v = next
	}
	return v
}

// candidate is a place that a field may have.
type candidate struct {
	*place
	score int
	basis string
}

// plain are the fields that a name or a look suffices for.
var plain = []fields.Field{
	fields.FirstName, fields.LastName, fields.PersonName, fields.Email, fields.Mobile, fields.PhotoURL, fields.Company, fields.VisitorType,
	fields.HostFirstName, fields.HostLastName, fields.HostName, fields.HostGroup, fields.ExternalID,
}

// names proposes places of what a body says of people.
func (l *learner) names() {
	for _, f := range plain {
		if instead := wholeNames[f]; instead != nil && slices.ContainsFunc(instead, func(f fields.Field) bool { return l.having(f) > 0 }) {
			continue
		}
		if f == fields.PersonName {
			l.nameInAList()
		}
		l.place(f)
	}
}

// wholeNames are looked for where none of these was found.
var wholeNames = map[fields.Field][]fields.Field{
	fields.PersonName: {fields.FirstName, fields.LastName}, fields.HostName: {fields.HostFirstName, fields.HostLastName},
}

// place proposes places of a field until each body has it, or no place is left that is
// surely one.
func (l *learner) place(f fields.Field) {
	for {
		candidates := l.candidates(f)
		if len(candidates) == 0 {
			return
		}
		best := candidates[0]
		rivals := slices.DeleteFunc(slices.Clone(candidates), func(c candidate) bool { return c.score < best.score || !differ(best.place, c.place) })
		switch {
		case best.score < byVague:
			l.open(f, placesOf(candidates), "a name that may mean something else")
			return
		case len(rivals) > 0:
			l.open(f, append([]*place{best.place}, placesOf(rivals)...), "several places are called so")
			return
		case !l.propose(f, best.at):
			return
		}
		l.proposed(f, best.at, best.basis)
	}
}

func placesOf(candidates []candidate) (all []*place) {
	for _, c := range candidates {
		all = append(all, c.place)
	}
	return all
}

// differ reports whether two places have two values in one body.
func differ(a, b *place) bool {
	for i := range a.values {
		if a.values[i].kind != 0 && b.values[i].kind != 0 && !a.values[i].unseen && a.values[i].text != b.values[i].text {
			return true
		}
	}
	return false
}

// candidates are the places that a field may have in the bodies that lack it, the best
// first.
func (l *learner) candidates(f fields.Field) (all []candidate) {
	for _, p := range l.places {
		if !l.helps(p, f) || l.isTaken(p.at) {
			continue
		}
		c := candidate{place: p, basis: "guess by name"}
		for _, g := range guessesByName(p.words) {
			if g.field == f {
				c.score = max(c.score, g.score)
			}
		}
		looks := looksLike(f, p.texts())
		switch {
		case c.score > 0 && looks == unlike:
			c.score = 0
		case c.score == byChance && looks == like:
			c.score, c.basis = byVague, "guess by name and by the look of the values"
		case c.score == 0 && looks == like && f != fields.PersonName && canBe(p.words):
			c.score, c.basis = byVague-1, "guess by the look of the values"
			if f == fields.Email || f == fields.PhotoURL {
				c.score = byVague
			}
		}
		if c.score > 0 {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(b.score-a.score, b.count()-a.count(), a.segments()-b.segments())
	})
	return all
}

// canBe reports whether what has no known name may be the visitor's.
func canBe(words []string) bool {
	of := subjectOf(words)
	return of != ofHost && of != ofElsewhere && (len(words) == 0 || subjectWords[words[len(words)-1]] == ofNothing)
}

// helps reports whether a body that lacks the field has a scalar at the place.
func (l *learner) helps(p *place, f fields.Field) bool {
	for i, s := range l.samples {
		if v := p.values[i]; v.kind != 0 && v.isScalar() && strings.TrimSpace(v.text) != "" && s.now.Origin(f) == fields.Missing {
			return true
		}
	}
	return false
}

// isTaken reports whether a field was found at the place.
func (l *learner) isTaken(at string) bool {
	for _, s := range l.samples {
		for _, found := range s.now.Found {
			if slices.Contains(found.At, at) || found.Place == at {
				return true
			}
		}
	}
	return false
}

// nameInAList proposes both elements of a list of two texts that is called a name.
func (l *learner) nameInAList() {
	for _, p := range l.places {
		if len(p.words) == 0 || strings.TrimSuffix(p.words[len(p.words)-1], "s") != "name" && terms[p.words[len(p.words)-1]] != fields.PersonName {
			continue
		}
		if !slices.ContainsFunc(p.values, func(v value) bool {
			return v.kind == '[' && len(v.members) == 2 && v.members[0].kind == '"' && v.members[1].kind == '"'
		}) {
			continue
		}
		if both := "{" + p.at + "/0} {" + p.at + "/1}"; l.propose(fields.PersonName, both) {
			l.proposed(fields.PersonName, both, "guess by name")
			return
		}
	}
}

// look is whether values can be those of a field.
type look int

const (
	unlike look = iota - 1
	unknown
	like
)

var (
	emails  = regexp.MustCompile(`^[^@\s]+@[^@\s]+\.[^@\s]+$`)
	numbers = regexp.MustCompile(`^\+?[0-9][0-9 ()./-]{5,20}$`)
	urls    = regexp.MustCompile(`^(?:https?://|data:image/)`)
	// names takes 200 KiB, as every expression of the letters of all scripts does.
	names = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\p{Lu}[\p{L}.'’-]+(?: [\p{L}.'’-]+){1,4}$`) })
)

// looksLike reports what the values say about it.
func looksLike(f fields.Field, texts []string) look {
	if len(texts) == 0 {
		return unknown
	}
	var form *regexp.Regexp
	switch f {
	case fields.Email:
		form = emails
	case fields.PhotoURL:
		form = urls
	case fields.PersonName:
		form = names()
	case fields.Mobile:
		if allMatch(numbers, texts) {
			return unknown // as many ids and dates do
		}
		return unlike
	default:
		return unknown
	}
	switch {
	case allMatch(form, texts):
		return like
	case f == fields.PersonName:
		return unknown
	default:
		return unlike
	}
}

func allMatch(form *regexp.Regexp, texts []string) bool {
	return len(texts) > 0 && !slices.ContainsFunc(texts, func(text string) bool { return !form.MatchString(text) })
}
