package policy

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Vote is the result of asking one decider.
type Vote struct {
	Decider string
	// Situation is [Decided], or why there is no decision. One that is not in
	// [Unanswered] counts as [Timeout].
	Situation Situation
	// Decision is read when the situation is Decided. One that neither accepts
	// nor rejects is a [BadReply].
	Decision visit.Decision
	Took     time.Duration
}

// normalize returns the vote in a situation that a decider can be in. A decision
// without a valid verdict must count for neither an acceptance nor a rejection.
func (v Vote) normalize() Vote {
	verdict := v.Decision.Verdict
	switch {
	case v.Situation == Decided && verdict != visit.Accept && verdict != visit.Reject:
		v.Situation = BadReply
	case v.Situation != Decided && !slices.Contains(Unanswered, v.Situation):
		v.Situation = Timeout
	}
	return v
}

// Ballot collects the votes about one visitor. It is not safe for concurrent use.
//
// Whether the visitor is accepted depends on what the votes are, never on the
// order in which they come. The order only chooses, among those who decided alike,
// who is named and whose text a rejected visitor reads.
type Ballot struct {
	policy   Policy
	asked    []bool // by decider
	votes    []Vote // by decider; without a situation until it is in
	arrived  []int  // deciders that count, in the order of their votes
	voters   int    // how many were asked that are not shadows
	settled  bool
	decision *Decision
	known    bool // whether the orders were known at the decision
}

// Ballot begins to count for one visitor. asked names the deciders whose condition
// held, shadows among them; the others do not vote, and asked may be empty. The
// policy must be complete.
func (p Policy) Ballot(asked []string) *Ballot {
	b := &Ballot{policy: p, asked: make([]bool, len(p.Deciders)), votes: make([]Vote, len(p.Deciders))}
	for i, d := range p.Deciders {
		b.asked[i] = slices.Contains(asked, d.Name)
		if b.asked[i] && !d.Shadow {
			b.voters++
		}
	}
	b.settled = b.voters == 0
	return b
}

// Settled reports whether no vote that is still missing can change the verdict, so
// that nobody needs to wait any longer. Where nobody votes, it is so from the start.
// Votes of shadows may be missing all the same.
func (b *Ballot) Settled() bool { return b.settled }

// Add counts a vote and returns [Ballot.Settled]. It does not count the vote of
// a decider that was not asked, a second vote of the same decider, or, except for
// a shadow's, one that comes after the decision.
func (b *Ballot) Add(v Vote) (settled bool) {
	i := slices.IndexFunc(b.policy.Deciders, func(d Decider) bool { return d.Name == v.Decider })
	if i < 0 || !b.asked[i] || b.votes[i].Situation != "" {
		return b.settled
	}
	shadow := b.policy.Deciders[i].Shadow
	if !shadow && b.decision != nil {
		return b.settled
	}
	b.votes[i] = v.normalize()
	if shadow {
		return b.settled
	}
	b.arrived = append(b.arrived, i)
	b.settled = b.settled || len(b.arrived) == b.voters || b.policy.Combination.settledBy(b.count(i, true))
	return b.settled
}

// count returns what the vote of a decider that is not a shadow counts for.
func (b *Ballot) count(i int, ordersKnown bool) Decision {
	return b.policy.count(b.policy.Deciders[i], b.votes[i], ordersKnown)
}

// Decide ends the count: it returns the decision of the votes that have come, and
// from then on the same one, whatever comes later. It may be called at any time.
// Unless the verdict is settled, those who have not voted by then count with
// their fallback for [Timeout].
//
// An order that decides comes before every vote. Where nobody was asked, the
// fallback for [Unasked] decides. Otherwise:
//
//   - A rejection has the text of the decider that rejected, and of several the
//     first that came. A decider's own rejection comes before that of a fallback,
//     whichever was first.
//   - An acceptance has the first text, in the order of the configuration, of
//     those that were decisive. The fields for the pass are merged in that order,
//     the first of a name wins.
//   - The notes for the administrator are those of everybody who voted; where
//     several were asked, each is a line that begins with the decider's name.
func (b *Ballot) Decide(active ActiveOrder) Decision {
	if b.decision == nil {
		d := b.decide(active)
		b.decision, b.known = &d, active.Known
	}
	return *b.decision
}

func (b *Ballot) decide(active ActiveOrder) Decision {
	if d, ordered := active.Decide(); ordered {
		return d
	}
	if b.voters == 0 {
		return b.policy.Fallback(Unasked, active)
	}
	if !b.settled {
		b.timeOut()
	}
	d := b.combine(active.Known)
	if active.Strict && !active.Known && accepts(d) {
		return b.policy.rejectUnknown(d)
	}
	return d
}

// timeOut counts everybody who has not voted as timed out. It goes on past the
// vote that settles: the time is up for all of them.
func (b *Ballot) timeOut() {
	for i, d := range b.policy.Deciders {
		if b.asked[i] && !d.Shadow {
			b.Add(Vote{Decider: d.Name, Situation: Timeout})
		}
	}
}

// VoteRecord is one decider's vote, for the record of decisions. It contains
// nothing that a decider or a person wrote.
type VoteRecord struct {
	Decider string
	Shadow  bool
	// Situation is [Decided], one of [Unanswered], [Unasked] where the
	// decider's condition did not hold, or [Unheard].
	Situation Situation
	// Verdict is what the decider counted for, or would have without an order:
	// its own, or its fallback's. A shadow counts for nothing and has only its
	// own. It is empty where there is neither.
	Verdict visit.Verdict
	// Fallback is set when the verdict is the fallback's.
	Fallback bool
	// Agreement is that of a shadow that decided; else it is empty.
	Agreement Agreement
	// Took is zero where no vote came.
	Took time.Duration
}

// Agreement says whether a shadow would have decided about the visitor as was
// decided, by whatever rule that was. It is empty where an order decided: that is
// nobody's judgement of the visitor.
type Agreement string

const (
	Agrees  Agreement = "agrees"
	Differs Agreement = "differs"
)

// Records returns the vote of every decider, in the order of the configuration. It
// is meant for after the decision; before it, nobody agrees or differs, and those
// who have not voted are [Unheard].
func (b *Ballot) Records() []VoteRecord {
	records := make([]VoteRecord, len(b.policy.Deciders))
	for i := range records {
		records[i] = b.record(i)
	}
	return records
}

func (b *Ballot) record(i int) VoteRecord {
	d, v := b.policy.Deciders[i], b.votes[i]
	r := VoteRecord{Decider: d.Name, Shadow: d.Shadow, Situation: v.Situation, Took: v.Took}
	switch {
	case !b.asked[i]:
		r.Situation = Unasked
	case v.Situation == "":
		r.Situation = Unheard
	case !d.Shadow:
		counted := b.count(i, b.known || b.decision == nil)
		r.Verdict, r.Fallback = counted.Verdict, counted.Fallback
	case v.Situation == Decided:
		r.Verdict = v.Decision.Verdict
		r.Agreement = b.agreement(r.Verdict)
	}
	return r
}

func (b *Ballot) agreement(v visit.Verdict) Agreement {
	switch {
	case b.decision == nil, b.decision.Situation == LockedDown, b.decision.Situation == Overridden:
		return ""
	case b.decision.Verdict == v:
		return Agrees
	default:
		return Differs
	}
}
