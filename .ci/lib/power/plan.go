package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// longest is how many cuts one disk gets before another one is formatted: its streams
// are read as a whole after each.
const longest = 10

// plan is what the command line asks for.
type plan struct {
	programs        string
	systems, losses []string
	scenarios       []scenario
	cuts            int
}

// read takes names of scenarios, and a number at the end.
func (p *plan) read(words []string) bool {
	if n := len(words); n > 0 {
		if cuts, err := strconv.Atoi(words[n-1]); err == nil {
			p.cuts, words = cuts, words[:n-1]
		}
	}
	for _, word := range words {
		i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == word })
		if i < 0 {
			return false
		}
		p.scenarios = append(p.scenarios, scenarios[i])
	}
	if len(words) == 0 {
		p.scenarios = scenarios
	}
	return p.cuts > 0
}

func (p *plan) run(ctx context.Context) (code int) {
	for _, system := range p.systems {
		if err := available(p.programs, system); err != nil {
			fmt.Fprintf(os.Stderr, "power: the power of a disk with %s cannot be cut here: %v\n", system, err)
			return unavailable
		}
	}
	var rows []row
	for _, s := range p.scenarios {
		rows = append(rows, p.try(ctx, s))
		if ctx.Err() != nil {
			break
		}
	}
	if err := printTable(os.Stdout, rows); err != nil {
		fmt.Fprintln(os.Stderr, "power:", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return failed
	}
	return 0
}

// try cuts in one scenario, on one file system after the other, and once with a disk
// that lies.
func (p *plan) try(ctx context.Context, s scenario) row {
	r := row{scenario: s}
	begin := time.Now()
	most := min(longest, (p.cuts+len(p.systems)-1)/len(p.systems))
	for n := 0; r.failed == nil && r.cuts < p.cuts; n++ {
		t := p.trial(ctx, s, min(most, p.cuts-r.cuts))
		r.failed = t.do(p.systems[n%len(p.systems)], false)
		r.sum(t.done)
	}
	if r.failed == nil {
		t := p.trial(ctx, s, 1)
		t.losses = []string{"all"} // a part might be a file system that cannot be mounted
		r.failed = t.do(p.systems[0], true)
		r.control = t.done
	}
	fmt.Printf("%s: %d cuts in %.0f s\n", s.name, r.cuts, time.Since(begin).Seconds())
	return r
}

func (p *plan) trial(ctx context.Context, s scenario, cuts int) *trial {
	return &trial{scenario: s, ctx: ctx, programs: p.programs, cuts: cuts, losses: p.losses, ledger: newLedger()}
}

// do makes the cuts, on a new disk.
func (t *trial) do(system string, lying bool) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s on %s, cut %d: %w", t.name, system, t.done.cuts+1, err)
		}
		t.done.acknowledged = t.ledger.answered() + t.orders.total + t.keys
	}()
	if t.dir, err = os.MkdirTemp(t.programs, t.name+"-"+system+"-"); err != nil {
		return err
	}
	logs := t.dir
	if kept := os.Getenv("ARTIFACTS"); kept != "" {
		logs = kept
	}
	if t.machine, err = newMachine(t.programs, t.dir, filepath.Join(logs, filepath.Base(t.dir)), system, lying); err != nil {
		return err
	}
	if t.nats, err = newServer(t.program("nats-server")); err != nil {
		return err
	}
	return errors.Join(t.lives(t), os.RemoveAll(t.dir))
}
