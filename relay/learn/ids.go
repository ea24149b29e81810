package learn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// evidence is what the values of an id say about what it is good for.
type evidence struct {
	// shared means that two persons have the same, and so no id of theirs.
	shared bool
	// returning means that it is the same at two visits of a person, and joins that it
	// is the same in check-in and check-out.
	returning, joins bool
	// apart means that check-in and check-out of each visit have different ones, as a
	// delivery has, and distinct that another visit or person has another one.
	apart, distinct bool
}

// ids finds the id of the visit and that of the person, and says what they are good for.
func (l *learner) ids() {
	who := l.persons()
	l.contradictions(who)
	l.visitID(who)
	l.personID(who)
	l.sumUp(fields.Visit, who)
	l.sumUp(fields.PersonID, who)
}

// persons name who each body is about, as far as it says.
func (l *learner) persons() []string {
	all := make([]string, len(l.samples))
	for i, s := range l.samples {
		p := s.now.Pass.Person
		all[i] = strings.ToLower(cmp.Or(p.FirstName+"\n"+p.LastName+"\n"+s.now.Pass.Company, p.Email))
		if p.FirstName+p.LastName+p.Email == "" {
			all[i] = ""
		}
	}
	return all
}

// step is what distinguishes the bodies of a visit: the kind, or else the event's name.
func (s *sample) step() string { return cmp.Or(string(s.kind), fields.Spelling(s.now.Event)) }

// judge compares the values of an id.
func (l *learner) judge(ids, who []string) (e evidence) {
	inOut, same := 0, 0
	for i := range ids {
		for j := range i {
			if ids[i] == "" || ids[j] == "" || who[i] == "" || who[j] == "" {
				continue
			}
			equal, steps := ids[i] == ids[j], l.samples[i].step() != l.samples[j].step()
			switch {
			case who[i] != who[j]:
				e.shared, e.distinct = e.shared || equal, e.distinct || !equal
			case steps:
				inOut++
				if equal {
					same++
				}
			case l.samples[i].kind == visit.KindCheckInRequest: // it may be asked twice in a visit
			default:
				e.returning, e.distinct = e.returning || equal, e.distinct || !equal
			}
		}
	}
	e.joins, e.apart = same > 0, inOut > 0 && same == 0
	return e
}

// ids are those at a place, by sample.
func (p *place) ids() []string {
	all := make([]string, len(p.values))
	for i, v := range p.values {
		if (v.kind == '"' || v.kind == '0') && !v.unseen {
			all[i] = strings.TrimSpace(v.text)
		}
	}
	return all
}

func (l *learner) idsOf(f fields.Field) []string {
	all := make([]string, len(l.samples))
	for i, s := range l.samples {
		if !s.isForm {
			all[i] = s.value(f)
		}
	}
	return all
}

// contradictions looks for a place of the visit's id whose values are the person's.
func (l *learner) contradictions(who []string) {
	if l.having(fields.Visit) == 0 {
		return
	}
	at := ""
	for _, s := range l.samples {
		if found := s.found(fields.Visit); found != nil {
			at = found.Place
		}
	}
	switch e := l.judge(l.idsOf(fields.Visit), who); {
	case e.shared:
		l.ask(fmt.Sprintf("What is found as the id of the visit, at %s, is the same for different persons: it would make one visit of theirs. Configure another place as visit.", at))
		l.finding(fields.Visit).Basis = "the same for different persons: no id of a visit"
		l.finding(fields.Visit).State = Open
	case e.returning && len(l.o.Fields.Spec().Places[fields.Visit]) > 0:
		l.ask(fmt.Sprintf("What is configured as the id of the visit, at %s, is the same at several visits of a person: it would make one visit of them. Move the place to person.id.", at))
		l.finding(fields.Visit).Basis = "the same at several visits of a person: an id of the person"
		l.finding(fields.Visit).State = Open
	case e.returning:
		had := l.having(fields.PersonID)
		if l.propose(fields.PersonID, at) || had > 0 && l.replacePersonID(at) {
			l.proposed(fields.PersonID, at, "the same at several visits of a person; the built-in places would take it for the visit's")
		}
	}
}

// replacePersonID puts a place before those where a person's id is found already.
func (l *learner) replacePersonID(at string) bool {
	return l.apply(func(s *fields.Spec) {
		s.Places[fields.PersonID] = slices.Concat([]string{fields.Writable(at)}, l.fields.Spec().Places[fields.PersonID])
	}) && l.having(fields.PersonID) > 0
}

// visitID proposes a place of the visit's id where none is found. One whose name does not
// say so is proposed where its values do.
func (l *learner) visitID(who []string) {
	if l.having(fields.Visit) > 0 {
		return
	}
	var sure, open []candidate
	for _, c := range l.idCandidates(fields.Visit) {
		switch e := l.judge(c.ids(), who); {
		case e.shared, e.returning, e.apart:
		case c.score >= byVague, e.joins && e.distinct:
			if e.joins && e.distinct {
				c.score, c.basis = c.score+1, "by its values: the same in check-in and check-out, another at each visit"
			}
			sure = append(sure, c)
		default:
			open = append(open, c)
		}
	}
	slices.SortStableFunc(sure, func(a, b candidate) int {
		return cmp.Or(b.score-a.score, b.count()-a.count(), a.segments()-b.segments())
	})
	if len(sure) > 0 {
		rivals := slices.DeleteFunc(slices.Clone(sure), func(c candidate) bool { return c.score < sure[0].score || !differ(c.place, sure[0].place) })
		if len(rivals) == 0 && l.propose(fields.Visit, sure[0].at) {
			l.proposed(fields.Visit, sure[0].at, sure[0].basis)
			return
		}
		open = append(sure, open...)
	}
	if len(open) > 0 {
		l.open(fields.Visit, placesOf(open), "its name does not say whose id it is")
		l.ask("Which place has the id of the visit? A second visit of the same person settles it: the id of a visit is another one then, and the same in its check-in and its check-out.")
	}
}

func (l *learner) idCandidates(f fields.Field) (all []candidate) {
	for _, p := range l.places {
		c := candidate{place: p, basis: "guess by name"}
		for _, g := range guessesByName(p.words) {
			if g.field == f {
				c.score = max(c.score, g.score)
			}
		}
		if c.score > 0 && !slices.ContainsFunc(p.ids(), func(id string) bool { return len(id) > 128 }) && slices.ContainsFunc(p.values, func(v value) bool { return v.kind == '"' || v.kind == '0' }) && !l.isTaken(p.at) {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(b.score-a.score, b.count()-a.count(), a.segments()-b.segments())
	})
	return all
}

// personID proposes a place that is called an id of the person, unless its values say
// that it is none.
func (l *learner) personID(who []string) {
	if l.having(fields.PersonID) > 0 {
		return
	}
	for _, c := range l.idCandidates(fields.PersonID) {
		if c.score < byTerm || l.judge(c.ids(), who).shared || l.changes(c.ids(), who) {
			continue
		}
		if l.propose(fields.PersonID, c.at) {
			l.proposed(fields.PersonID, c.at, c.basis)
			return
		}
	}
}

// changes reports whether one person has several ids.
func (l *learner) changes(ids, who []string) bool {
	for i := range ids {
		for j := range i {
			if ids[i] != "" && ids[j] != "" && who[i] != "" && who[i] == who[j] && ids[i] != ids[j] {
				return true
			}
		}
	}
	return false
}

// sumUp says what an id that was found is good for.
func (l *learner) sumUp(f fields.Field, who []string) {
	ids := l.idsOf(f)
	if !slices.ContainsFunc(ids, func(id string) bool { return id != "" }) {
		return
	}
	found, e := l.finding(f), l.judge(ids, who)
	if found.State == Open {
		return
	}
	var said string
	switch {
	case f == fields.PersonID && l.changes(ids, who):
		said = "one person has several: it is not the person's"
		l.ask("What is found as person.id is another one for the same person: remove the place, or configure another one.")
	case f == fields.PersonID && e.returning:
		said = "the same at several visits of a person"
	case f == fields.PersonID:
		said = "one visit of each person was seen"
	case e.apart:
		said = "check-in and check-out have different ones: it joins nothing"
		l.ask("What is found as the id of the visit differs between check-in and check-out: it is an id of the delivery, or of something else. Configure another place as visit.")
	case e.joins && e.distinct:
		said = "the same in check-in and check-out, another at each visit"
	case e.joins:
		said = "the same in check-in and check-out; one visit was seen, and so it may be the person's: make a second one"
	default:
		said = "no visit was seen from check-in to check-out"
	}
	if found.Basis == "" {
		found.Basis = "built-in place"
		if len(l.o.Fields.Spec().Places[f]) > 0 {
			found.Basis = "configured"
		}
	}
	if !strings.Contains(found.Basis, said) && !strings.HasPrefix(found.Basis, "by its values") {
		found.Basis += "; " + said
	}
}
