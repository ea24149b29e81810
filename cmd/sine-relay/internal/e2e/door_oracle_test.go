package e2e

import (
	"fmt"
	"slices"
	"strings"
)

// What the rules for several deciders say, in the words of the README and by
// nothing else: no code of the relay has a part in it.

// behaviour is what a decider does with its question.
type behaviour string

const (
	accepts  behaviour = "accepts"
	rejects  behaviour = "rejects"
	errs     behaviour = "errs"     // it replies that it failed
	lies     behaviour = "lies"     // its reply is no decision
	stalls   behaviour = "stalls"   // it never replies
	comeLate behaviour = "comeLate" // it replies after the deadline
	vanishes behaviour = "vanishes" // its connection is gone once it was asked
)

// member is a decider of a panel. Its fallback is "accept" or "reject" for every
// situation, and empty where it needs none.
type member struct {
	name     string
	does     behaviour
	fallback string
}

func (m member) decides() bool { return m.does == accepts || m.does == rejects }

// inTime reports whether its reply, whatever it is, comes before the deadline.
func (m member) inTime() bool { return m.decides() || m.does == errs || m.does == lies }

func (m member) verdict() string {
	switch m.does {
	case accepts:
		return "accept"
	case rejects:
		return "reject"
	default:
		return m.fallback
	}
}

func (m member) situation() string {
	switch {
	case m.decides():
		return "decided"
	case m.inTime():
		return "bad_reply"
	default:
		return "timeout"
	}
}

// text and note are what it says to the visitor and to the administrator, itself
// or by its fallback.
func (m member) text() string {
	return fmt.Sprintf("%s says %s, %s", m.name, m.verdict(), m.situation())
}

func (m member) note() string { return fmt.Sprintf("note of %s, %s", m.name, m.situation()) }

// foretold is how a visitor must be answered.
type foretold struct {
	verdict, situation string
	// decider is who is said to have decided; nobody where all had to.
	decider, text, notes string
	// votes are the situations of the members, in the order of the
	// configuration: "decided timeout".
	votes string
}

// foretell says how a visitor is answered when the members' votes come in an
// order, of which none is left out.
func foretell(rule string, members []member, order []int) foretold {
	heard := slices.Clone(order)
	if n := slices.IndexFunc(order, func(i int) bool { return settles(rule, members[i]) }); n >= 0 {
		heard = order[:n+1]
	}
	f := foretold{votes: votes(members, heard), notes: notes(members, heard)}
	var came []member
	for _, i := range heard {
		came = append(came, members[i])
	}
	bearers := bearers(rule, came)
	f.verdict = bearers[0].verdict()
	f.decider, f.situation, f.text = bearers[0].name, bearers[0].situation(), bearers[0].text()
	if f.verdict == "accept" {
		f.text = slices.MinFunc(bearers, func(a, b member) int { return strings.Compare(a.name, b.name) }).text()
	}
	if rule == "all" && f.verdict == "accept" {
		f.decider, f.situation = "", "decided"
		if n := slices.IndexFunc(bearers, func(m member) bool { return !m.decides() }); n >= 0 {
			f.decider, f.situation = bearers[n].name, bearers[n].situation()
		}
	}
	return f
}

// settles: under all, the first rejection answers at once, also that of a
// fallback; under any, the first acceptance of a decider does.
func settles(rule string, m member) bool {
	if rule == "all" {
		return m.verdict() == "reject"
	}
	return m.does == accepts
}

// bearers are those on whom the answer rests, in the order in which they came.
func bearers(rule string, came []member) []member {
	with := func(keep func(member) bool) (all []member) {
		for _, m := range came {
			if keep(m) {
				all = append(all, m)
			}
		}
		return all
	}
	accepting := func(m member) bool { return m.verdict() == "accept" }
	rejecting := func(m member) bool { return m.verdict() == "reject" }
	var preferred [][]member
	if rule == "all" {
		preferred = [][]member{with(rejecting), came}
	} else {
		// A fallback that accepts counts only where no decider decided.
		preferred = [][]member{
			with(func(m member) bool { return m.does == accepts }), with(func(m member) bool { return m.does == rejects }),
			with(accepting), with(rejecting),
		}
	}
	return preferred[slices.IndexFunc(preferred, func(all []member) bool { return len(all) > 0 })]
}

func votes(members []member, heard []int) string {
	var all []string
	for i, m := range members {
		if slices.Contains(heard, i) {
			all = append(all, m.situation())
		} else {
			all = append(all, "unheard")
		}
	}
	return strings.Join(all, " ")
}

func notes(members []member, heard []int) string {
	var lines []string
	for i, m := range members {
		if slices.Contains(heard, i) {
			lines = append(lines, m.name+": "+m.note())
		}
	}
	return strings.Join(lines, "\n")
}

// permutations are all orders of some numbers.
func permutations(of []int) [][]int {
	if len(of) == 0 {
		return [][]int{{}}
	}
	var all [][]int
	for i, first := range of {
		for _, others := range permutations(slices.Delete(slices.Clone(of), i, i+1)) {
			all = append(all, append([]int{first}, others...))
		}
	}
	return all
}
