package learn

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/relay/fields"
)

// answers looks for the answers of a form, and for the keys of question and answer in
// them.
func (l *learner) answers() {
	if l.having(fields.Answers) > 0 {
		l.labels(l.placeOfAnswers())
		return
	}
	var all []candidate
	for _, p := range l.places {
		c := candidate{place: p, score: l.holdsAnswers(p), basis: "guess by name and by its form"}
		if c.score > 0 {
			all = append(all, c)
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		return cmp.Or(b.score-a.score, b.count()-a.count(), b.segments()-a.segments())
	})
	for _, c := range all {
		before := l.spec
		l.labels(c.place) // without its keys, an answer is not read
		if l.propose(fields.Answers, c.at) {
			l.proposed(fields.Answers, c.at, c.basis)
			return
		}
		l.apply(func(s *fields.Spec) { s.Labels, s.Values = before.Labels, before.Values })
		delete(l.report.Why, "labels.label")
		delete(l.report.Why, "labels.value")
	}
}

func (l *learner) placeOfAnswers() *place {
	for _, p := range l.places {
		for i, s := range l.samples {
			if found := s.found(fields.Answers); found != nil && p.values[i].kind != 0 && slices.Contains(found.At, p.at) {
				return p
			}
		}
	}
	return nil
}

// holdsAnswers says how much a place looks as though it had answers.
func (l *learner) holdsAnswers(p *place) int {
	score := 0
	for _, g := range guessesByName(p.words) {
		if g.field == fields.Answers {
			score = max(score, g.score)
		}
	}
	form := false
	for _, v := range p.values {
		switch {
		case v.kind == '[' && len(v.members) > 0 && !slices.ContainsFunc(v.members, func(m value) bool { return !isAnswer(m) }):
			form = true
		case v.kind == '{' && !strings.HasSuffix(p.at, "/*") && (score >= byTerm || asksInKeys(v)) && !slices.ContainsFunc(v.members, func(m value) bool { return m.kind == '[' }):
			form = true
		}
	}
	switch {
	case !form || onlyFields(p):
		return 0
	case score > 0:
		return score
	default:
		return byChance
	}
}

// isAnswer reports whether an element of a list has a text and something beside it.
func isAnswer(m value) bool {
	texts := 0
	for _, of := range m.members {
		if of.kind == '"' {
			texts++
		}
	}
	return texts > 0 && (m.kind == '{' && len(m.members) >= 2 && captionKey(m) != "" || m.kind == '[' && len(m.members) == 2 && m.members[0].kind == '"')
}

// asksInKeys reports whether the keys of an object, or the captions in it, are questions.
func asksInKeys(v value) bool {
	return slices.ContainsFunc(v.keys, func(key string) bool { return strings.HasSuffix(strings.TrimSpace(key), "?") }) ||
		len(v.members) > 0 && !slices.ContainsFunc(v.members, func(m value) bool { return captionKey(m) == "" })
}

// captionKey is the key of the question in an answer.
func captionKey(m value) string {
	for i, key := range m.keys {
		if word := fields.Spelling(key); captionWords[word] && word != "id" && word != "code" && m.members[i].kind == '"' {
			return key
		}
	}
	return ""
}

// onlyFields reports whether everything in a list says what a field says: it is the pass,
// and no form.
func onlyFields(p *place) bool {
	for _, v := range p.values {
		for _, m := range v.members {
			label := ""
			switch {
			case m.kind == '[' && len(m.members) > 0:
				label = m.members[0].text
			case m.kind == '{':
				if key := captionKey(m); key != "" {
					label = m.members[slices.Index(m.keys, key)].text
				}
			}
			if !isTerm(fields.Spelling(label)) {
				return false
			}
		}
	}
	return true
}

// labels proposes the keys of question and answer where those that are known find none.
func (l *learner) labels(p *place) {
	if p == nil {
		return
	}
	for _, v := range p.values {
		for _, m := range v.members {
			if m.kind == '{' {
				l.labelsOf(m)
			}
		}
	}
}

// labelsOf does so for an answer.
func (l *learner) labelsOf(m value) {
	label, answer := captionKey(m), ""
	for i, key := range m.keys {
		if key != label && valueWords[fields.Spelling(key)] && m.members[i].kind != 'n' {
			answer = cmp.Or(answer, key)
		}
	}
	if answer == "" && len(m.keys) == 2 && label != "" {
		answer = m.keys[1-slices.Index(m.keys, label)]
	}
	now := l.fields.Spec()
	if label != "" && !isKnown(label, now.Labels, builtinLabels) && l.isKey(label) {
		l.apply(func(s *fields.Spec) { s.Labels = slices.Concat(now.Labels, []string{label}) })
		l.report.Why["labels.label"] = "guess by name"
	}
	if answer != "" && !isKnown(answer, now.Values, builtinValues) && l.isKey(answer) {
		l.apply(func(s *fields.Spec) { s.Values = slices.Concat(now.Values, []string{answer}) })
		l.report.Why["labels.value"] = "guess by name"
	}
}

// Keys of question and answer that are found without configuration.
var (
	builtinLabels = []string{"label", "question", "title", "name"}
	builtinValues = []string{"value", "answer", "response"}
)

func isKnown(key string, lists ...[]string) bool {
	for _, list := range lists {
		if slices.ContainsFunc(list, func(known string) bool { return fields.Spelling(known) == fields.Spelling(key) }) {
			return true
		}
	}
	return false
}

// isKey reports whether a key may be shown and configured.
func (l *learner) isKey(key string) bool { return l.o.Values || isShown("/"+escape(key)) }
