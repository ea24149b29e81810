package policy

import "slices"

// Tally collects the votes about one visitor. It is not safe for concurrent use.
//
// Whether the visitor is accepted depends on what the votes are, never on the
// order in which they come. The order only chooses, among those who decided alike,
// who is named and whose text a rejected visitor reads.
type Tally struct {
	panel   Panel
	asked   []bool // by member
	votes   []Vote // by member; without a situation until it is heard
	heard   []int  // members who have a say, in the order of their votes
	haveSay int
	settled bool
	answer  *Answer
	known   bool // whether the orders were known when the answer was given
}

// Tally begins to count for one visitor. asked names the members whose condition
// held, shadows among them; the others have no say, and asked may be empty. The
// panel must be complete.
func (p Panel) Tally(asked []string) *Tally {
	t := &Tally{panel: p, asked: make([]bool, len(p.Members)), votes: make([]Vote, len(p.Members))}
	for i, m := range p.Members {
		t.asked[i] = slices.Contains(asked, m.Decider)
		if t.asked[i] && !m.Shadow {
			t.haveSay++
		}
	}
	t.settled = t.haveSay == 0
	return t
}

// Settled reports whether no vote that is still out can change the verdict, so
// that nobody needs to wait any longer. Where nobody has a say, it is so from the
// start. Votes of shadows may be out all the same.
func (t *Tally) Settled() bool { return t.settled }

// Add counts a vote and returns [Tally.Settled]. It does not count the vote of
// somebody who was not asked, a second vote of the same decider, or, except for
// a shadow's, one that comes after the answer.
func (t *Tally) Add(v Vote) (settled bool) {
	i := slices.IndexFunc(t.panel.Members, func(m Member) bool { return m.Decider == v.Decider })
	if i < 0 || !t.asked[i] || t.votes[i].Situation != "" {
		return t.settled
	}
	shadow := t.panel.Members[i].Shadow
	if !shadow && t.answer != nil {
		return t.settled
	}
	t.votes[i] = v.plain()
	if shadow {
		return t.settled
	}
	t.heard = append(t.heard, i)
	t.settled = t.settled || len(t.heard) == t.haveSay || t.panel.Combination.settledBy(t.count(i, true))
	return t.settled
}

// count says what the vote of a member with a say counts for.
func (t *Tally) count(i int, ordersKnown bool) Answer {
	a := t.panel.policyOf(t.panel.Members[i]).count(t.votes[i], ordersKnown)
	a.By = t.panel.Members[i].Decider
	return a
}

// Answer ends the count: it returns the answer to the votes that have come, and
// from then on the same one, whatever comes later. It may be called at any time.
// Unless the verdict is settled, those who have not voted by then count with
// their fallback for [Timeout].
//
// An order that decides comes before every vote. Where nobody has a say, the
// fallback for [Unasked] answers. Otherwise:
//
//   - A rejection has the text of the decider that rejected, and of several the
//     first that came. A decider's own rejection comes before that of a fallback,
//     whichever was first.
//   - An acceptance has the first text, in the order of the configuration, of
//     those on whom it rests. The fields for the pass are merged in that order,
//     the first of a name wins.
//   - The notes for the administrator are those of everybody who voted; where
//     several have a say, each is a line that begins with the decider's name.
func (t *Tally) Answer(st Standing) Answer {
	if t.answer == nil {
		a := t.close(st)
		t.answer, t.known = &a, st.Known
	}
	return *t.answer
}

func (t *Tally) close(st Standing) Answer {
	if a, ordered := st.Answer(); ordered {
		return a
	}
	if t.haveSay == 0 {
		return t.panel.Policy.Fall(Unasked, st)
	}
	if !t.settled {
		t.giveUp()
	}
	a := t.combine(st.Known)
	if st.Strict && !st.Known && accepts(a) {
		return t.panel.Policy.rejectUnknown(a)
	}
	return a
}

// giveUp counts everybody who has not voted as timed out. It goes on past the
// vote that settles: the time is up for all of them.
func (t *Tally) giveUp() {
	for i, m := range t.panel.Members {
		if t.asked[i] && !m.Shadow {
			t.Add(Vote{Decider: m.Decider, Situation: Timeout})
		}
	}
}
