package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
	"github.com/sine-relay/sine-relay/visit"
)

// line is what the example consumers write about an event.
type line struct {
	ID     string     `json:"id"`
	Kind   visit.Kind `json:"kind"`
	Time   time.Time  `json:"time"`
	Visit  string     `json:"visit"`
	Source string     `json:"source"`
}

// receives runs a consumer through what happens to one, and holds what it wrote against what
// was sent.
func (r *rig) receives(c example) error {
	file := "FILE=" + r.path(c.name+".ndjson")
	p, err := r.start(c, "consumer", file)
	if err != nil {
		return err
	}
	restart := func(s syscall.Signal) error {
		p.End(s)
		p, err = r.start(c, "consumer", file)
		return err
	}
	sent := map[string]string{} // by visit and kind, the body
	for _, step := range []struct {
		name   string
		middle func() error
		check  func([]line) error
	}{
		{"NATS is killed", r.killNATS, inOrder},
		{"the consumer is killed with events in hand", func() error {
			p.Pause()
			return errors.Join(r.visits(sent, c.name+" stopped"), r.delivered(), restart(syscall.SIGKILL))
		}, onceEach},
		{"every event comes again", func() error {
			return errors.Join(r.makeDurable(), restart(syscall.SIGTERM))
		}, onceEach},
	} {
		err := errors.Join(r.visits(sent, c.name+" before "+step.name), step.middle(), r.visits(sent, c.name+" after "+step.name))
		if err := errors.Join(err, r.written(c, sent, step.check)); err != nil {
			return fmt.Errorf("%s, when %s: %w", c.name, step.name, err)
		}
	}
	fmt.Printf("%s: writes %d events once each, though NATS and it are killed and every event comes again\n", c.name, len(sent))
	return p.End(syscall.SIGTERM)
}

// receivesSince runs a consumer that makes its durable itself, as a user who may.
func (r *rig) receivesSince(c example) error {
	since, sent := time.Now().Format(time.RFC3339Nano), map[string]string{}
	if err := r.visits(sent, "since"); err != nil {
		return err
	}
	file := r.path("since.ndjson")
	p, err := r.start(c, "admin", "DURABLE=since", "SINCE="+since, "FILE="+file)
	if err != nil {
		return err
	}
	var lines []line
	err = process.Await("the events since then are written", 20*time.Second, func() bool {
		lines, _ = readLines(file, "")
		return len(lines) >= len(sent)
	})
	if err := errors.Join(err, p.End(syscall.SIGTERM), inOrder(lines)); err != nil {
		return err
	}
	if len(lines) != len(sent) {
		return fmt.Errorf("%s wrote %d events, not the %d since %s", c.name, len(lines), len(sent), since)
	}
	fmt.Printf("%s: begins at a moment in the past\n", c.name)
	return nil
}

// visits sends some visits, each in order; their names begin with that of the example. The source has what a reader may spoil: a large
// number, white space, and letters of more than one byte.
func (r *rig) visits(sent map[string]string, name string) error {
	for n := range 5 {
		for after, event := range []string{"signin_after", "signout_after"} {
			key := strings.ReplaceAll(fmt.Sprintf("%s.%d", name, n), " ", "-")
			date := time.Now().Add(time.Duration(after) * time.Second).UTC().Format(time.RFC3339)
			body := fmt.Sprintf("{ \"event\":%q,\n  \"date\":%q, \"badge\": 12345678901234567890, \"data\":{\"visitId\":%q,\"lastName\":\"Łukasiewicz\",\"source\":\"}\"} }", event, date, key)
			if _, err := r.call(body); err != nil {
				return err
			}
			sent[key+" "+event] = body
		}
	}
	return nil
}

var eventNames = map[visit.Kind]string{visit.KindCheckedIn: "signin_after", visit.KindCheckedOut: "signout_after"}

// written waits for the lines about what was sent, and checks them. What a consumer had not
// acknowledged when it was killed comes again after the durable's ack_wait.
func (r *rig) written(c example, sent map[string]string, check func([]line) error) error {
	var lines []line
	var err error
	waitErr := process.Await(fmt.Sprintf("%d lines", len(sent)), 60*time.Second, func() bool {
		lines, err = readLines(r.path(c.name+".ndjson"), c.name)
		return err == nil && len(lines) >= len(sent) && r.acknowledged()
	})
	if err := errors.Join(err, waitErr); err != nil {
		return fmt.Errorf("%w, but %d", err, len(lines))
	}
	if len(lines) != len(sent) {
		return fmt.Errorf("%d lines, not %d", len(lines), len(sent))
	}
	for _, l := range lines {
		if body, found := sent[l.Visit+" "+eventNames[l.Kind]]; !found || body != l.Source {
			return fmt.Errorf("the source of %s of %s is %q, not %q", l.Kind, l.Visit, l.Source, body)
		}
	}
	return errors.Join(onceEach(lines), check(lines))
}

// acknowledged reports whether the durable has nothing left.
func (r *rig) acknowledged() bool {
	info, err := r.durable()
	return err == nil && info.NumAckPending == 0 && info.NumPending == 0
}

// delivered returns once there are events that were delivered and not acknowledged.
func (r *rig) delivered() error {
	return process.Await("events are delivered", 20*time.Second, func() bool {
		info, err := r.durable()
		return err == nil && info.NumAckPending > 0
	})
}

func (r *rig) durable() (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	durable, err := r.js.Consumer(ctx, "VISITORS", "badges")
	if err != nil {
		return nil, err
	}
	return durable.CachedInfo(), nil
}

func onceEach(lines []line) error {
	seen := map[string]bool{}
	for _, l := range lines {
		if seen[l.ID] {
			return fmt.Errorf("%s is there twice", l.ID)
		}
		seen[l.ID] = true
	}
	return nil
}

// inOrder wants that each check-in stands before its check-out.
func inOrder(lines []line) error {
	inside := map[string]bool{}
	for _, l := range lines {
		if inside[l.Visit] != (l.Kind == visit.KindCheckedOut) {
			return fmt.Errorf("%s of %s is out of order", l.Kind, l.Visit)
		}
		inside[l.Visit] = true
	}
	return nil
}

// readLines leaves out the visits of other examples.
func readLines(file, example string) (all []line, err error) {
	in, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	for scanner := bufio.NewScanner(in); scanner.Scan(); {
		var l line
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("%q: %w", scanner.Bytes(), err)
		}
		if strings.HasPrefix(l.Visit, example) {
			all = append(all, l)
		}
	}
	return all, nil
}
