// Package share divides something bounded among users, so that none of them
// takes what belongs to all: places, memory, room on a disk.
//
// The rule is the dynamic threshold of switches whose ports share one memory
// (A. K. Choudhury and E. L. Hahne, "Dynamic Queue Length Thresholds for
// Shared-Memory Packet Switches", IEEE/ACM Transactions on Networking 6(2),
// 1998) with alpha = 1: a user may hold as much as is free. Of one user who
// takes all it can get that makes half, of n such users an n+1-th each, and the
// rest stays free for whoever comes next. Nobody needs to be known beforehand,
// and who is quiet costs nothing. Two things are added: a user who is alone has
// everything, and a small part is set apart so that also behind many greedy users
// each of the others finds a first place.
//
// [Limiter] applies the rule to what is held for a moment, and lets its users
// wait fairly. [Pool.Allows] is the rule itself, for what is counted elsewhere.
package share

// guaranteed is the part of the capacity that is set apart, one in so many.
const guaranteed = 8

// Pool is something bounded at one moment.
type Pool struct {
	// Capacity is all there is, and Taken what all users hold of it.
	Capacity, Taken int64
	// Users is how many there may be, whether they hold anything or not.
	Users int
	// Claimed is what users hold of their minimum: the sum of the smaller of
	// what each holds and of [Pool.Minimum]. Who does not count it has nothing
	// set apart.
	Claimed int64
}

// Minimum is what is set apart for each user. It is 0 where there are too many
// users for it.
func (p Pool) Minimum() int64 {
	if p.Users <= 1 {
		return 0
	}
	parts := int64(p.Users)
	least := (p.Capacity + guaranteed*parts - 1) / (guaranteed * parts)
	if least*parts > p.Capacity/2 {
		return 0
	}
	return least
}

// Fits reports whether there is room for n, whoever wants it.
func (p Pool) Fits(n int64) bool { return n <= p.Capacity-p.Taken }

// Allows reports whether a user that holds something may take n more. Who holds
// nothing may take whatever there is room for.
func (p Pool) Allows(holds, n int64) bool {
	least := p.Minimum()
	switch {
	case !p.Fits(n):
		return false
	case p.Users <= 1, holds == 0, holds+n <= least:
		return true
	}
	apart := max(0, least*int64(p.Users)-p.Claimed)
	return holds+n <= p.Capacity-p.Taken-apart
}
