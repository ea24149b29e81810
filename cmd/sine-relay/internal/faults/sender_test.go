//go:build linux && faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// inLobby is how many visitors of one sender may be inside.
const inLobby = 10

// sender is one of those who call the relays, as Sine would: a visit's check-out
// never before its check-in was answered, and what was not answered again.
type sender struct {
	load   *load
	rng    *rand.Rand
	author author
	tick   *time.Ticker
	inside []stay
	said   []*event
}

// stay is a visit that has begun, and the relay that was told.
type stay struct {
	in *event
	at *relay
}

func newSender(l *load, number int, seed uint64) *sender {
	rng := rand.New(rand.NewPCG(seed, uint64(number)))
	return &sender{
		load: l, rng: rng, tick: time.NewTicker(l.interval),
		author: author{rng: rng, name: fmt.Sprintf("%s-%d", l.mark, number)},
	}
}

func (s *sender) run() {
	defer s.tick.Stop()
	for s.turn() {
		s.step()
	}
}

// turn waits until the next call may be made, and reports false when there is to
// be none.
func (s *sender) turn() bool {
	select {
	case <-s.load.stopped:
		return false
	case <-s.tick.C:
		return s.load.going()
	}
}

func (s *sender) step() {
	switch n := s.rng.IntN(100); {
	case n < 45:
		s.visit()
	case n < 75:
		s.deliver(s.author.pass(), s.anyRelay())
	case n < 82:
		s.deliver(s.author.nonsense(), s.anyRelay())
	case n < 92:
		s.again()
	default:
		s.atOnce()
	}
}

// visit checks somebody in, or out whoever has been inside for longest. Half of
// the visitors turn round in the door.
func (s *sender) visit() {
	if len(s.inside) >= inLobby {
		first := s.inside[0]
		s.inside = s.inside[1:]
		s.leave(first)
		return
	}
	one := stay{s.author.checkIn(), s.anyRelay()}
	if !s.deliver(one.in, one.at) {
		return
	}
	if s.rng.IntN(2) == 0 {
		s.leave(one)
		return
	}
	s.inside = append(s.inside, one)
}

// leave checks out, mostly through the relay that knows of the check-in.
func (s *sender) leave(one stay) {
	if s.rng.IntN(5) == 0 {
		one.at = s.anyRelay()
	}
	s.deliver(s.author.checkOut(one.in), one.at)
}

// again repeats what was said before.
func (s *sender) again() {
	if len(s.said) > 0 {
		s.deliver(s.said[s.rng.IntN(len(s.said))], s.anyRelay())
	}
}

// atOnce says the same twice at the same time, to two relays where there are.
func (s *sender) atOnce() {
	f, first := s.author.pass(), s.rng.IntN(len(s.load.relays))
	second := (first + 1) % len(s.load.relays)
	var both sync.WaitGroup
	both.Go(func() { s.load.post(f, s.load.relays[first]) })
	both.Go(func() { s.load.post(f, s.load.relays[second]) })
	both.Wait()
}

// deliver calls until there is an answer or the load ends, and reports whether
// the answer says that the event is kept. What was refused is not sent again:
// Sine is not known to.
func (s *sender) deliver(f *event, to *relay) bool {
	for {
		c := s.call(f, to)
		if c.err == nil {
			s.remember(f)
			return c.kept()
		}
		if !s.turn() {
			return false
		}
	}
}

// call tells one relay, or all of them at once where everything comes several
// times.
func (s *sender) call(f *event, to *relay) *call {
	if !s.load.echo {
		return s.load.post(f, to)
	}
	var all sync.WaitGroup
	for _, other := range s.load.relays {
		if other != to {
			all.Go(func() { s.load.post(f, other) })
		}
	}
	defer all.Wait()
	return s.load.post(f, to)
}

// remember keeps some of what was answered, to be repeated.
func (s *sender) remember(f *event) {
	if f.isEvent() && len(s.said) < 50 {
		s.said = append(s.said, f)
	} else if f.isEvent() {
		s.said[s.rng.IntN(len(s.said))] = f
	}
}

func (s *sender) anyRelay() *relay { return s.load.relays[s.rng.IntN(len(s.load.relays))] }
