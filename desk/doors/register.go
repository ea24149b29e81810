package doors

import (
	"errors"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	// maxSubjects bounds the subjects of one program that are looked at, and maxRegistered
	// those of all: whatever answers a search names as many as it likes.
	maxSubjects   = 64
	maxRegistered = 4096
)

var errRegistered = errors.New("more subjects were named than are looked at: a program that answers may not be counted")

// question is the subject that a decider of a site is asked on. With "*" for either of them
// it is a pattern.
type question struct{ site, decider string }

// register counts the programs that answer, by the subjects that they answer on. To look
// one up takes the same time whatever is in it.
type register map[question]int

// newRegister counts the programs. The error says that not all of them are counted.
func newRegister(s visit.Subjects, deciders []visit.Decider) (r register, err error) {
	r = register{}
	prefix := strings.TrimSuffix(s.All(visit.RootAsk), ">")
	for _, d := range deciders {
		taken := 0
		for _, subject := range d.Subjects {
			at, ok := parseQuestion(prefix, subject)
			if !ok {
				continue
			}
			if taken++; taken > maxSubjects || r[at] == 0 && len(r) == maxRegistered {
				err = errRegistered
				break
			}
			r[at]++
		}
	}
	return r, err
}

// parseQuestion reads a subject or a pattern. What also matches subjects that no decider is
// asked on belongs to another kind of program, and is left out.
func parseQuestion(prefix, subject string) (question, bool) {
	rest, ok := strings.CutPrefix(subject, prefix)
	if !ok {
		return question{}, false
	}
	if rest == ">" {
		return question{"*", "*"}, true
	}
	site, decider, ok := strings.Cut(rest, ".")
	if decider == ">" {
		decider = "*"
	}
	token := func(t string) bool { return t == "*" || visit.ValidName(t) }
	return question{site, decider}, ok && token(site) && token(decider)
}

// answering counts the programs that answer for a decider of a site.
func (r register) answering(site, decider string) int {
	return r[question{site, decider}] + r[question{"*", decider}] + r[question{site, "*"}] + r[question{"*", "*"}]
}
