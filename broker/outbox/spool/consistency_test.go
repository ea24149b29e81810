package spool

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/spool/queue"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/visit"
)

var (
	crashStates = flag.Int("spool.states", 20_000, "in how many states a crash leaves the spool in TestCrash_EachState")
	crashSeed   = flag.Uint64("spool.seed", 1, "seed of TestCrash_EachState")
)

const never = math.MaxInt

// fate is what was done to an entry, and when: before which event of the recording.
type fate struct {
	data                           []byte
	put, stored, removing, removed int
	tries                          []try
}

type try struct{ began, written, attempts int }

// life is a spool on a disk that writes down what is done to it, from one start to
// the next crash.
type life struct {
	random *rand.Rand
	disk   *memDisk
	spool  *Spool
	fates  map[int]*fate
	open   []waitingOperation
	next   int // id
}

type waitingOperation struct {
	*operation
	done func(err error)
}

func (l *life) now() int { return len(l.disk.events) }

func crashConfig(d disk.Disk) Config {
	return Config{MaxBytes: 1 << 20, disk: d, segment: 2048}
}

// begin opens the spool that is on the disk, as a relay does: again, where the disk
// has failed.
func (l *life) begin() error {
	l.spool = newSpool(crashConfig(l.disk))
	if err := l.spool.openFiles(); err == nil || l.disk.fails == nil {
		return err
	}
	fails := l.disk.fails
	l.disk.fails = nil
	defer func() { l.disk.fails = fails }()
	return l.spool.openFiles()
}

// stamp writes down which operations are acknowledged by now.
func (l *life) stamp() {
	left := l.open[:0]
	for _, o := range l.open {
		select {
		case <-o.operation.done:
			o.done(o.err)
		default:
			left = append(left, o)
		}
	}
	l.open = left
}

func (l *life) enqueue(o *operation, done func(err error)) {
	o.done = make(chan struct{})
	if l.spool.enqueue(o) == nil {
		l.open = append(l.open, waitingOperation{o, done})
	}
}

func (l *life) put() {
	if l.random.IntN(12) == 0 {
		l.putBytes(1000 + l.random.IntN(6000)) // more than a segment
		return
	}
	l.putBytes(l.random.IntN(400))
}

func (l *life) putBytes(size int) {
	id := l.next
	l.next++
	f := &fate{data: bytes.Repeat([]byte{byte(id)}, size), put: l.now(), stored: never, removing: never, removed: never}
	l.fates[id] = f
	e := Entry{Order: fmt.Sprint(id % 3), Message: visit.Message{Root: visit.RootEvent, ID: strconv.Itoa(id), Data: f.data}}
	value := wal.Encode(e)
	o := &operation{add: queue.RecordOf(e, int64(len(value))), frame: &wal.Frame{Value: value}, allows: func(Room) error { return nil }}
	l.enqueue(o, func(err error) {
		if err == nil {
			f.stored = l.now()
		}
	})
}

// pick is an entry that waits, or nil.
func (l *life) pick() (id int, r *queue.Record) {
	all := l.spool.queue.Sequences()
	if len(all) == 0 {
		return 0, nil
	}
	r = l.spool.queue.Record(all[l.random.IntN(len(all))])
	e, err := read(*r)
	if err != nil {
		panic(err)
	}
	id, _ = strconv.Atoi(e.Message.ID)
	return id, r
}

func (l *life) remove() {
	id, r := l.pick()
	if r == nil {
		return
	}
	f := l.fates[id]
	f.removing = min(f.removing, l.now())
	l.enqueue(&operation{remove: []uint64{r.Sequence}}, func(err error) {
		if err == nil {
			f.removed = min(f.removed, l.now())
		}
	})
}

func (l *life) fail() {
	id, r := l.pick()
	if r == nil {
		return
	}
	f := l.fates[id]
	r.Attempts++
	n := len(f.tries)
	f.tries = append(f.tries, try{l.now(), never, int(r.Attempts)})
	l.enqueue(&operation{count: r, attempts: int(r.Attempts)}, func(err error) {
		if err == nil {
			f.tries[n].written = l.now()
		}
	})
}

// step does a few things at once, and what the committer does about them.
func (l *life) step() error {
	remove := 2 + l.random.IntN(4)
	for range 1 + l.random.IntN(4) {
		switch n := l.random.IntN(10); {
		case n < remove:
			l.remove()
		case n < 8:
			l.put()
		default:
			l.fail()
		}
	}
	l.spool.commitNext()
	l.stamp()
	switch l.random.IntN(20) {
	case 0:
		l.spool.renew()
	case 1:
		l.spool.retried, l.spool.verified = l.spool.retried.Add(-verifyEvery), l.spool.verified.Add(-verifyEvery)
	case 2:
		l.spool.lastTry()
		_ = l.spool.closeFiles()
		return l.begin()
	case 3: // the process is killed
		return l.begin()
	}
	return nil
}

// audit opens what a crash has left after so many events, and says what is wrong.
func (l *life) audit(d disk.Disk, at int) error {
	s := newSpool(crashConfig(d))
	if err := s.openFiles(); err != nil {
		return fmt.Errorf("it does not open: %w", err)
	}
	if s.damage != nil {
		return fmt.Errorf("it is damaged: %w", s.damage.Cause)
	}
	there := make(map[int]bool)
	last := make(map[string]int)
	err := s.Each(func(i Item) error {
		id, _ := strconv.Atoi(i.Message.ID)
		f := l.fates[id]
		switch {
		case f == nil || f.put > at:
			return fmt.Errorf("%d was not put", id)
		case there[id]:
			return fmt.Errorf("%d is there twice", id)
		case !bytes.Equal(i.Message.Data, f.data):
			return fmt.Errorf("%d is not as it was put", id)
		case f.removed <= at:
			return fmt.Errorf("%d was removed and is there", id)
		case last[i.Order] > id:
			return fmt.Errorf("%d comes after %d", id, last[i.Order])
		}
		there[id], last[i.Order] = true, id
		if err := f.attempts(at, i.Attempts); err != nil {
			return fmt.Errorf("%d: %w; %v", id, err, f.tries)
		}
		return nil
	})
	for id, f := range l.fates {
		if f.stored <= at && f.removing > at && !there[id] {
			err = errors.Join(err, fmt.Errorf("%d was acknowledged and is missing", id))
		}
	}
	return err
}

func (f *fate) attempts(at, got int) error {
	least, most := 0, 0
	for _, t := range f.tries {
		if t.written <= at {
			least = max(least, t.attempts)
		}
		if t.began <= at {
			most = max(most, t.attempts)
		}
	}
	if got < least || got > most {
		return fmt.Errorf("%d attempts, not %d to %d", got, least, most)
	}
	return nil
}

// follow is the life after a crash that left so much: what is certain by then stays
// so, and the rest stays open.
func (l *life) follow(d *memDisk, at int) *life {
	next := &life{random: l.random, disk: d, fates: make(map[int]*fate), next: l.next}
	since := func(when int) int {
		if when <= at {
			return 0
		}
		return never
	}
	for id, f := range l.fates {
		if f.put > at {
			continue
		}
		g := &fate{data: f.data, stored: since(f.stored), removing: since(f.removing), removed: since(f.removed)}
		for _, t := range f.tries {
			if t.began <= at {
				g.tries = append(g.tries, try{0, since(t.written), t.attempts})
			}
		}
		next.fates[id] = g
	}
	return next
}

// run lives for a while, on a disk on which everything is for certain.
func (l *life) run(steps int, fails func(what string) bool) (*platter, error) {
	start := newPlatter(l.disk)
	l.disk.events, l.disk.records, l.disk.before = nil, true, l.stamp
	if err := l.begin(); err != nil {
		return nil, err
	}
	l.disk.fails = fails
	for range steps {
		if err := l.step(); err != nil {
			return nil, err
		}
	}
	l.disk.fails, l.disk.before = nil, nil
	return start, nil
}

// Each write, sync and change of a name of a random life is where a crash may come.
// Whatever of what was not synced is on the disk then, torn within a write and in any
// order, the next start finds what was acknowledged, as it was put, in its order and
// once, and nothing that was removed or never put. A crash while it recovers changes
// nothing about that, nor do disks that fail.
func TestCrash_EachState(t *testing.T) {
	t.Parallel()
	states := *crashStates
	if raceDetector {
		states /= 20
	}
	c := &crashTest{t: t, left: states}
	for seed := *crashSeed; c.left > 0 && !t.Failed(); seed++ {
		c.seed = seed
		c.random = rand.New(rand.NewPCG(seed, 0))
		l := &life{random: c.random, disk: newMemDisk(), fates: make(map[int]*fate)}
		for range 3 {
			if l = c.live(l); l == nil {
				break
			}
		}
	}
}

type crashTest struct {
	t      *testing.T
	random *rand.Rand
	seed   uint64
	left   int // states
}

// live has one life, looks at what crashes leave of it, and returns the life after
// one of them.
func (c *crashTest) live(l *life) (next *life) {
	var fails func(string) bool
	switch c.random.IntN(4) {
	case 0:
		fails = func(string) bool { return c.random.IntN(30) == 0 }
	case 1: // what leaves stays for long
		fails = func(what string) bool {
			return (what == "remove" || what == "sync of the directory") && c.random.IntN(3) > 0
		}
	}
	p, err := l.run(10+c.random.IntN(20), fails)
	if err != nil {
		c.t.Fatalf("seed %d: %v", c.seed, err)
	}
	after := c.random.IntN(len(l.disk.events) + 1)
	for at := 0; at <= len(l.disk.events); at++ {
		if at > 0 {
			p.apply(l.disk.events[at-1])
		}
		p.each(c.random, 8, func(d *memDisk) {
			if at == after && next == nil {
				copied := newPlatter(d).crash(nil)
				next = l.follow(copied, at)
			}
			c.audit(l, d, at, c.random.IntN(100) == 0)
		})
		if c.left <= 0 || c.t.Failed() {
			return nil
		}
	}
	return next
}

// audit looks at one state, and, where it is deep, at what crashes leave while that
// is recovered.
func (c *crashTest) audit(l *life, d *memDisk, at int, deep bool) {
	c.left--
	d.records = deep
	var p *platter
	if deep {
		p = newPlatter(d)
	}
	if err := l.audit(d, at); err != nil {
		c.t.Errorf("seed %d, after event %d of %d: %v", c.seed, at, len(l.disk.events), err)
		return
	}
	for i := 0; deep && i < len(d.events) && !c.t.Failed(); i++ {
		p.apply(d.events[i])
		p.each(c.random, 4, func(d *memDisk) { c.audit(l, d, at, false) })
	}
}

// A crash between a copy and the deletion of the original leaves both. What is removed
// then stays so, whichever of the two segments goes first.
func TestCrash_WhileEntriesAreCopiedForward(t *testing.T) {
	t.Parallel()
	l := &life{random: rand.New(rand.NewPCG(1, 1)), disk: newMemDisk(), fates: make(map[int]*fate)}
	must(t, l.begin())
	for _, bytes := range []int{900, 900, 900, 2000} { // the last one into the next segment
		l.putBytes(bytes)
	}
	l.spool.commitNext()
	l.spool.commitNext()
	p := newPlatter(l.disk)
	l.disk.events = nil
	r := newRecovery(l.spool)
	r.replace(l.spool.wal.Segments()[0])
	must(t, r.finish())
	for _, e := range l.disk.events {
		p.apply(e)
		p.each(l.random, 16, func(d *memDisk) {
			for _, id := range []string{"0", "1", "2", "3"} {
				s := newSpool(crashConfig(d))
				must(t, s.openFiles())
				removeAlone(t, s, id)
			}
		})
	}
}

// removeAlone removes an entry, has its segment go if it can, and kills the process.
func removeAlone(t *testing.T, s *Spool, id string) {
	t.Helper()
	for _, i := range all(t, s) {
		if i.Message.ID == id {
			o := &operation{remove: []uint64{i.Sequence}, done: make(chan struct{})}
			must(t, s.enqueue(o))
			s.commitNext()
			must(t, o.err, s.wal.MakeRoom(1<<14))
			s.sweep()
		}
	}
	again := newSpool(s.cfg)
	must(t, again.openFiles())
	for _, i := range all(t, again) {
		if i.Message.ID <= id {
			t.Fatalf("%s was removed and is there", i.Message.ID)
		}
	}
}

// A segment that begins anew has nothing left to mark: what is written there next is
// another entry.
func TestRemove_WhatCouldNotBeMarkedSpoilsNothingLater(t *testing.T) {
	t.Parallel()
	l := &life{random: rand.New(rand.NewPCG(1, 1)), disk: newMemDisk(), fates: make(map[int]*fate)}
	must(t, l.begin())
	s := l.spool
	do := func(o *operation) error {
		o.done = make(chan struct{})
		must(t, s.enqueue(o))
		s.commitNext()
		return o.err
	}
	e := Entry{Order: "a", Message: visit.Message{Root: visit.RootEvent, ID: "1", Data: make([]byte, 64)}}
	put := func(id string) uint64 {
		e.Message.ID = id
		value := wal.Encode(e)
		o := &operation{add: queue.RecordOf(e, int64(len(value))), frame: &wal.Frame{Value: value}, allows: func(Room) error { return nil }}
		must(t, do(o))
		return o.add.Sequence
	}
	put("1")
	second := put("2")
	must(t, do(&operation{remove: []uint64{1}}))
	l.disk.fails = func(what string) bool { return what == "write" }
	if do(&operation{remove: []uint64{second}}) == nil {
		t.Fatal("it is marked")
	}
	l.disk.fails = nil
	s.renew()
	e.Message.Data = make([]byte, 512) // over the place of the second
	s.retried = time.Now()
	put("3")
	s.retried = time.Time{}
	s.commitNext()
	again := newSpool(s.cfg)
	must(t, again.openFiles())
	if got := ids(all(t, again)); !slices.Equal(got, []string{"3"}) || again.damage != nil {
		t.Errorf("%v, damage %v", got, again.damage)
	}
}

// Nothing of what was removed is on the disk, nor after a crash.
func TestRemove_LeavesNothingOnTheDisk(t *testing.T) {
	t.Parallel()
	l := &life{random: rand.New(rand.NewPCG(1, 1)), disk: newMemDisk(), fates: make(map[int]*fate)}
	p := newPlatter(l.disk)
	must(t, l.begin())
	for range 20 {
		l.put()
	}
	for n := 1; n > 0; {
		n, _ = l.spool.commitNext()
	}
	sequences := l.spool.queue.Sequences()
	o := &operation{remove: sequences, done: make(chan struct{})}
	must(t, l.spool.enqueue(o))
	l.spool.commitNext()
	l.spool.renew()
	for _, e := range l.disk.events {
		p.apply(e)
	}
	p.each(l.random, 100, func(d *memDisk) {
		for name, f := range d.names {
			if left := len(bytes.TrimRight(f.data, "\x00")); left > headerBytes {
				t.Errorf("%s holds %d bytes", name, left)
			}
		}
	})
	if len(sequences) != 20 {
		t.Errorf("%d were put", len(sequences))
	}
}
