//go:build linux && faults

package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// layout is what a scenario is played on. Zero means one node, one relay, eight
// senders.
type layout struct {
	nodes, relays, senders int
	embedded               bool          // NATS is within the relay
	proxied                bool          // there is a proxy between each relay and node
	echo                   bool          // all events go to all relays at once
	stepped                bool          // the relays' wall clocks can be set, see clock_test.go
	expiring               time.Duration // the relay's credentials last so long; 0 is a password
	role                   string        // of the relays, see disk_test.go
	settings               []string      // of the relays
}

// rig is everything that runs in one scenario.
type rig struct {
	t        testing.TB
	programs binaries
	key      string // for the webhook
	senders  int
	begun    time.Time
	nodes    []*node
	relays   []*relay
	proxies  [][]*proxy // by relay and node; none where they are not between
	deciders []*process
	auditor  *auditor
	load     *load
	issuer   *issuer
	creds    string // the relay's credentials, where there is an issuer
	store    string // of the NATS inside, where it is

	// One fault at a time has the rights of the relays in its hands, and one the
	// stream.
	rights, stream, weather sync.Mutex

	mu       sync.Mutex
	excused  []excuse
	problems []error
}

// pace is how often a sender calls.
const pace = 30 * time.Millisecond

// newRig brings NATS up, then the relays until they are ready.
func newRig(t testing.TB, l layout) *rig {
	t.Helper()
	if _, ok := t.(*testing.T); ok {
		if err := heart.feel(); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, programs: programs(t), senders: cmp.Or(l.senders, 8), begun: time.Now(), key: fmt.Sprintf("key-of-one-rig-%016x", rand.Uint64())}
	if l.stepped {
		program, err := buildStepped()
		r.must(err)
		r.programs.relay = program
	}
	if l.embedded {
		r.startEmbedded(l)
	} else {
		r.startApart(l)
	}
	r.load = newLoad(r.relays, r.key, fmt.Sprintf("%08x", rand.Uint32()), pace)
	r.load.echo = l.echo
	return r
}

// each does the same to all at once.
func each[T any](all []T, do func(T) error) error {
	failures := make(chan error, len(all))
	for _, one := range all {
		go func() { failures <- do(one) }()
	}
	var first error
	for range all {
		if err := <-failures; first == nil {
			first = err
		}
	}
	return first
}

// must ends the test where the rig itself does not work. It is for the test's
// own goroutine; see report.
func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// report notes what went wrong in a fault.
func (r *rig) report(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, err)
}

func (r *rig) excuse(x excuse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.excused = append(r.excused, x)
}

func (r *rig) excuses() []excuse {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]excuse(nil), r.excused...)
}
