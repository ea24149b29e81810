package share

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

const patience = 20 * time.Second

// fill takes all that a user can get, one at a time.
func fill(l *Limiter, name string) (all []Reservation) {
	for {
		r, ok := l.TryAcquire(name, 1)
		if !ok {
			return all
		}
		all = append(all, r)
	}
}

// queue starts so many who wait for one each. Each, once it has it, sends its
// name.
func queue(t *testing.T, l *Limiter, name string, n int, got chan<- Reservation, order chan<- string) {
	t.Helper()
	for range n {
		before := waiting(l, name)
		go func() {
			r, err := l.Acquire(context.Background(), name, 1)
			if err != nil {
				t.Error(err)
			}
			order <- name
			got <- r
		}()
		for deadline := time.Now().Add(patience); waiting(l, name) == before; {
			if time.Now().After(deadline) {
				t.Fatal("nobody waits")
			}
			time.Sleep(50 * time.Microsecond)
		}
	}
}

func waiting(l *Limiter, name string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.user(name).queue.Len()
}

// The first of a quiet user does not stand behind the hundreds of another.
func TestLimiter_WaitingUsersTakeTurns(t *testing.T) {
	l := NewLimiter(30)
	l.Among(3)
	var held []Reservation
	for _, name := range []string{"hog", "second", "third", "hog", "second", "third"} {
		held = append(held, fill(l, name)...)
	}
	l.Among(1) // whatever is given back may go to anybody
	for range 30 - len(held) {
		r, _ := l.TryAcquire("hog", 1)
		held = append(held, r)
	}
	got, order := make(chan Reservation, 300), make(chan string, 300)
	queue(t, l, "hog", 200, got, order)
	queue(t, l, "quiet", 2, got, order)
	places := map[string]int{}
	for i := range 4 {
		held[i].Release()
		name := <-order
		places[name]++
	}
	if places["quiet"] != 2 {
		t.Errorf("of the first four places the quiet user got %d", places["quiet"])
	}
	for i := range 198 {
		r := <-got
		r.Release()
		if name := <-order; name != "hog" {
			t.Errorf("place %d went to %s", i, name)
		}
	}
}

// A hog has its share and waits for more; what is free beyond that is at once
// there for others.
func TestLimiter_AUserBelowItsShareDoesNotWaitForAHog(t *testing.T) {
	l := NewLimiter(100)
	l.Among(90)
	fill(l, "hog")
	ctx, cancel := context.WithCancel(t.Context())
	var hogs sync.WaitGroup
	for range 500 {
		hogs.Go(func() { l.Acquire(ctx, "hog", 1) })
	}
	defer hogs.Wait()
	defer cancel()
	for waiting(l, "hog") < 500 {
		time.Sleep(50 * time.Microsecond)
	}
	for i := range 20 {
		if _, ok := l.TryAcquire("quiet", 1); !ok {
			t.Fatalf("the quiet user got %d of 100 places", i)
		}
	}
}

// Small wishes that come all the time do not keep a large one of somebody else
// waiting for ever.
func TestLimiter_SmallReservationsDoNotStarveALargeOne(t *testing.T) {
	l := NewLimiter(100)
	l.Among(2)
	small := fill(l, "small")
	more, _ := l.TryAcquire("other", 40)
	done := make(chan Reservation)
	go func() {
		r, err := l.Acquire(t.Context(), "large", 90)
		if err != nil {
			t.Error(err)
		}
		done <- r
	}()
	for waiting(l, "large") == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	for _, r := range small { // as soon as one leaves, the next would come
		r.Release()
		if _, ok := l.TryAcquire("small", 1); ok {
			t.Fatal("the large one was overtaken")
		}
	}
	more.Release()
	r := <-done
	if _, ok := l.TryAcquire("small", 1); !ok {
		t.Error("what is left is kept from others")
	}
	r.Release()
}

func TestLimiter_ACanceledWaitBlocksNoOther(t *testing.T) {
	l := NewLimiter(10)
	l.Among(2)
	first, _ := l.TryAcquire("a", 8)
	ctx, giveUp := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { _, err := l.Acquire(ctx, "b", 9); ended <- err }()
	for waiting(l, "b") == 0 {
		time.Sleep(50 * time.Microsecond)
	}
	got, order := make(chan Reservation, 1), make(chan string, 1)
	queue(t, l, "b", 1, got, order)
	giveUp()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	r := <-got // of one, for which there is room
	r.Release()
	first.Release()
	if l.Taken() != 0 {
		t.Errorf("%d are taken", l.Taken())
	}
}

func TestLimiter_MoreThanItsCapacityIsRefusedAtOnce(t *testing.T) {
	l := NewLimiter(10)
	if _, err := l.Acquire(t.Context(), "a", 11); !errors.Is(err, ErrTooMuch) {
		t.Errorf("%v", err)
	}
	if _, ok := l.TryAcquire("a", 10); !ok {
		t.Error("it was in the way")
	}
}

func TestReservation_Shrinks(t *testing.T) {
	l := NewLimiter(10)
	r, _ := l.TryAcquire("a", 10)
	r = r.Shrink(4).Shrink(7)
	if l.Taken() != 4 {
		t.Errorf("%d are taken", l.Taken())
	}
	r.Release()
	if l.Taken() != 0 {
		t.Errorf("%d are taken", l.Taken())
	}
}

// Whatever is done in whatever order: no more is held than there is, everybody
// gets a turn, and at the end everything is back.
func TestLimiter_EverythingIsReleasedAfterConcurrentUse(t *testing.T) {
	for _, users := range []int{1, 2, 7, 90} {
		t.Run(fmt.Sprint(users), func(t *testing.T) {
			const capacity = 64
			l := NewLimiter(capacity)
			l.Among(users)
			var all sync.WaitGroup
			for worker := range max(8, users) {
				all.Go(func() {
					name := fmt.Sprint(worker % users)
					for i := range 200 {
						ctx, cancel := context.WithTimeout(t.Context(), patience)
						if i%7 == 0 {
							ctx, cancel = context.WithTimeout(t.Context(), time.Duration(rand.N(100))*time.Microsecond)
						}
						r, err := l.Acquire(ctx, name, 1+rand.N(int64(capacity/4)))
						cancel()
						if err != nil && i%7 != 0 {
							t.Error(err)
						}
						if err != nil {
							continue
						}
						if taken := l.Taken(); taken > capacity || taken < 1 {
							t.Errorf("%d are taken", taken)
						}
						if i%50 == 0 {
							l.Among(1 + rand.N(users))
						}
						r.Shrink(1).Release()
					}
				})
			}
			all.Wait()
			l.Among(users)
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.pool.Taken != 0 || l.pool.Claimed != 0 || len(l.waiting) != 0 || l.short {
				t.Errorf("left behind: %+v, %d wait, short: %v", l.pool, len(l.waiting), l.short)
			}
		})
	}
}

func BenchmarkLimiter(b *testing.B) {
	for _, users := range []int{1, 90} {
		b.Run(fmt.Sprintf("alone-of-%d", users), func(b *testing.B) {
			l := NewLimiter(256)
			l.Among(users)
			for b.Loop() {
				r, _ := l.TryAcquire("lobby", 1)
				r.Release()
			}
		})
		b.Run(fmt.Sprintf("256-goroutines-of-%d", users), func(b *testing.B) {
			names := make([]string, users)
			for i := range names {
				names[i] = fmt.Sprint("lobby-", i)
			}
			l := NewLimiter(1024)
			l.Among(users)
			b.SetParallelism(128)
			b.RunParallel(func(pb *testing.PB) {
				name := names[rand.N(users)]
				for pb.Next() {
					if r, err := l.Acquire(context.Background(), name, 1); err == nil {
						r.Release()
					}
				}
			})
		})
	}
}
