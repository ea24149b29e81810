package share

import (
	"fmt"
	"testing"
)

// greedy is how much users get who take one after another all they can, step by
// step.
func greedy(p Pool, users int, step int64) []int64 {
	got := make([]int64, users)
	for i := range got {
		for p.Allows(got[i], step) {
			p.Claimed -= min(got[i], p.Minimum())
			got[i] += step
			p.Taken += step
			p.Claimed += min(got[i], p.Minimum())
		}
	}
	return got
}

func TestPool_LimitsGreedyUsers(t *testing.T) {
	for _, c := range []struct {
		name     string
		capacity int64
		users    int
		greedy   int
		step     int64
		want     string
	}{
		{"the only one gets everything", 512, 1, 1, 1, "[512]"},
		{"nobody said how many there are", 512, 0, 1, 1, "[512]"},
		{"one of two gets about half, the other about half of the rest", 512, 2, 2, 1, "[240 136]"},
		{"one of ninety gets about half of what is not set apart", 512, 90, 1, 1, "[212]"},
		{"bytes: one of ninety", 64 << 20, 90, 1, 1 << 20, "[29360128]"},
		{"more users than places: each the first that is free", 4, 90, 4, 1, "[2 1 1 0]"},
		{"one place", 1, 90, 2, 1, "[1 0]"},
	} {
		if got := fmt.Sprint(greedy(Pool{Capacity: c.capacity, Users: c.users}, c.greedy, c.step)); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// However many are greedy, in whatever order they come: whoever comes last still
// gets what is set apart.
func TestPool_EveryUserGetsTheMinimumBehindGreedyOnes(t *testing.T) {
	for _, capacity := range []int64{100, 256, 512, 10_000} {
		const users = 40
		p := Pool{Capacity: capacity, Users: users}
		if p.Minimum() < 1 {
			t.Fatalf("of %d nothing is set apart for each of %d", capacity, users)
		}
		for i, got := range greedy(p, users, 1) {
			if got < p.Minimum() {
				t.Errorf("of %d user %d got %d, want at least %d", capacity, i, got, p.Minimum())
			}
		}
	}
}

// n users who all take what they can at the same time get an n+1-th each.
func TestPool_ConcurrentGreedyUsersGetEqualShares(t *testing.T) {
	for users := 2; users < 10; users++ {
		p := Pool{Capacity: 10_000, Users: users}
		got := make([]int64, users)
		for more := true; more; {
			more = false
			for i := range got {
				if p.Allows(got[i], 1) {
					got[i]++
					p.Taken++
					p.Claimed = 0
					for _, g := range got {
						p.Claimed += min(g, p.Minimum())
					}
					more = true
				}
			}
		}
		for i, g := range got {
			if want := int64(10_000 / (users + 1)); g < want-1 || g > want+1 {
				t.Errorf("user %d of %d got %d, want %d", i, users, g, want)
			}
		}
	}
}
