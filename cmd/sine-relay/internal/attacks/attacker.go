//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
)

// order is what the attackers' process is told.
type order struct {
	Assault            assault
	Public, Admin      string
	Webhook, Key, NATS string
}

// attackers are in a process of their own, which takes the processors only when
// nobody else wants them: real ones are on machines of their own, and what they
// cost themselves must not slow down the relay and the honest caller's clock.
type attackers struct {
	process *exec.Cmd
	out     *bytes.Buffer
}

func (s *stage) attack(ctx context.Context, a assault) (*attackers, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	o := order{Assault: a, Public: s.public, Admin: s.admin, Webhook: s.webhook(hostileLobby), Key: keyOf(hostileLobby), NATS: s.natsURL}
	out := &bytes.Buffer{}
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", self, "attacker", mustJSON(o))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	return &attackers{cmd, out}, cmd.Start()
}

// report waits for the attackers' end.
func (a *attackers) report() (t tally, err error) {
	if err := a.process.Wait(); err != nil {
		return t, fmt.Errorf("the attackers: %w", err)
	}
	return t, json.Unmarshal(a.out.Bytes(), &t)
}

// tally is what became of an attack.
type tally struct {
	Opened, Closed, Held, MostHeld, Failed int64 // connections
	Answers                                map[string]int
	Replies                                int64
}

func (t tally) String() string {
	var said []string
	if t.Opened > 0 {
		said = append(said, fmt.Sprintf("%d connections, %d held at most, %d closed by the relay", t.Opened, t.MostHeld, t.Closed))
	}
	if t.Failed > 0 {
		said = append(said, fmt.Sprintf("%d not made", t.Failed))
	}
	for _, status := range slices.Sorted(maps.Keys(t.Answers)) {
		said = append(said, fmt.Sprintf("%d answered %s", t.Answers[status], status))
	}
	if t.Replies > 0 {
		said = append(said, fmt.Sprintf("%d replies", t.Replies))
	}
	return strings.Join(said, ", ")
}

// attack carries out an order until its time is over, and prints what became of it.
func attack(ctx context.Context, text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Assault.For)
	defer cancel()
	t := tally{Answers: map[string]int{}}
	var err error
	switch o.Assault.Kind {
	case idle, halfHeaders, shortLines, scrapes:
		h := newHolders(o)
		h.hold(ctx)
		t.Opened, t.Closed, t.MostHeld, t.Failed = h.opened.Load(), h.closed.Load(), h.most.Load(), h.failed.Load()
	case bodies:
		t.Answers = sendBodies(ctx, o)
	case replies:
		t.Replies, err = answerSearches(ctx, o)
	default:
		err = errors.New("no such attack")
	}
	fmt.Println(mustJSON(t))
	return err
}

// most keeps the highest of what it is told.
type most struct{ atomic.Int64 }

func (m *most) see(n int64) {
	for seen := m.Load(); n > seen && !m.CompareAndSwap(seen, n); seen = m.Load() {
	}
}
