package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
)

// decides runs a decider and holds the relay's responses against what it is to decide.
func (r *rig) decides(d example) error {
	p, err := r.start(d, "decider", "WATCHLIST_URL="+r.watchlist.URL, "CONCURRENCY=2")
	if err != nil {
		return err
	}
	err = r.answers(p)
	if err == nil {
		err = errors.Join(r.responses(), r.hungUp(), r.overloaded(), r.shown(), r.killNATS(), r.answers(p))
	}
	err = errors.Join(err, p.End(syscall.SIGTERM))
	if code := p.Cmd.ProcessState.ExitCode(); err == nil && code != 0 {
		err = fmt.Errorf("it ended with %d", code)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	fmt.Printf("%s: accepts, rejects, gives up in time, says that it is overloaded, and outlives a kill of NATS\n", d.name)
	return nil
}

// answers returns once the decider lets somebody in.
func (r *rig) answers(p *process.Process) error {
	return process.Await("a visitor is let in", 20*time.Second, func() bool {
		response, err := r.checkIn(unlisted)
		return err == nil && strings.Contains(response, `"SUCCESS"`) || !p.Running()
	})
}

func (r *rig) responses() error {
	for _, c := range []struct{ visitor, want string }{
		{unlisted, "Welcome!"},
		{listed, "Please see reception."},
		{broken, "fallback for bad_reply"},
		{slow, "fallback for timeout"},
	} {
		if got, err := r.checkIn(c.visitor); err != nil || !strings.Contains(got, c.want) {
			return fmt.Errorf("%s: wanted %q, got %q %w", c.visitor, c.want, got, err)
		}
	}
	return nil
}

// hungUp wants that the decider works no more for whom nobody waits.
func (r *rig) hungUp() error {
	return process.Await("the decider gives up at the deadline", 10*time.Second, func() bool {
		return r.watchlist.hungUp.Load() > 0 && r.watchlist.waiting.Load() == 0
	})
}

// overloaded fills the decider with visitors for whom it waits: two are in flight, each
// asked for once more when half of the time has passed.
func (r *rig) overloaded() error {
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			_, err := r.checkIn(slow)
			done <- err
		}()
	}
	err := process.Await("two check-in requests are in flight", 10*time.Second, func() bool { return r.watchlist.waiting.Load() >= 2 })
	before := r.watchlist.asked.Load()
	got, callErr := r.checkIn(unlisted)
	if !strings.Contains(got, "fallback for bad_reply") || r.watchlist.asked.Load() != before {
		err = errors.Join(err, fmt.Errorf("one more than it may have: %s", got))
	}
	return errors.Join(err, callErr, <-done, <-done, r.hungUp())
}

// shown wants that sine-relay deciders shows it, as a micro service.
func (r *rig) shown() error {
	out, err := r.run(append(r.as("operator"), "SINE_RELAY_SITE=hq"), "sine-relay", "deciders")
	if err == nil && !regexp.MustCompile(`hq +default +\S+ +1\.0\.0 `).MatchString(out) {
		err = fmt.Errorf("sine-relay deciders does not show it: %s", out)
	}
	return err
}
