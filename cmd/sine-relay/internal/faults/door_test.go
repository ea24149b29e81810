//go:build linux && faults

package faults

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// doorScenario is one fault while visitors wait at the door.
type doorScenario struct {
	name     string
	layout   layout
	deciders int
	befall   fault
	lasting  float64 // seconds
	// mayTurnAway is the share of visitors whom the fault may cost their
	// decision, in per cent; they are rejected, and never let in.
	mayTurnAway int
}

// Of those who come while one of two hangs, half reach it first, and half of
// these again.
var doorScenarios = []doorScenario{
	{"one of two deciders hangs", layout{}, 2, deciderHangs, 8, 24},
	{"one of two deciders is killed", layout{}, 2, deciderKilled, 2, 0},
	{"a stream takes the questions", layout{}, 1, questionsStored, 3, 0},
	{"each node of a cluster is taken down for an update", layout{nodes: 3}, 2, everyNodeRetired, 1, 0},
	{"the clock steps", layout{stepped: true}, 1, clockSteps, 4, 0},
}

func TestFaultsAtTheDoor(t *testing.T) {
	for _, s := range doorScenarios {
		closing.announce(s.name)
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, s.layout)
			r.startDeciders(s.deciders)
			door, stop := r.comeIn()
			v := r.play(1, func() {
				r.report(door.more(warmUp))
				r.report(s.befall(r, seconds(s.lasting), 0))
				r.report(door.more(warmUp))
				stop()
			})
			closing.add(s.name, v)
			r.demand(v)
			d := door.verdict()
			closing.addDoor(s.name, d)
			r.demandAtTheDoor(d, s.mayTurnAway)
		})
	}
}

// more waits until so many further visitors have their answer.
func (v *visitors) more(count int) error {
	from := v.answered()
	return await("visitors are answered", func() bool { return v.answered() >= from+count })
}

// demandAtTheDoor fails the test for a wrong answer, for none, and for more
// visitors without a decision than the fault may cost. Where the machine stood
// still for long, a decision may have come too late.
func (r *rig) demandAtTheDoor(v *doorVerdict, mayTurnAway int) {
	r.t.Helper()
	still := heart.longest(r.begun)
	late := still > time.Second && v.turnedAway*100 < v.asked*(mayTurnAway+10)
	if v.clean() && (v.turnedAway*100 <= v.asked*mayTurnAway || late) {
		return
	}
	r.t.Errorf("of %d visitors %d were turned away, %d answered wrongly, %d not at all; the longest waited for %s",
		v.asked, v.turnedAway, v.wrong, v.unanswered, v.longest)
	for _, note := range v.notes {
		r.t.Log(note)
	}
	r.t.Log(r.logs(15))
}

func deciderHangs(r *rig, lasting time.Duration, pick int) error {
	one := r.deciders[pick%len(r.deciders)]
	one.signal(syscall.SIGSTOP)
	hold(lasting)
	one.signal(syscall.SIGCONT)
	return nil
}

func deciderKilled(r *rig, lasting time.Duration, pick int) error {
	r.deciders[pick%len(r.deciders)].kill()
	hold(lasting)
	return nil
}

// questionsStored has JetStream acknowledge every question.
func questionsStored(r *rig, lasting time.Duration, _ int) error {
	const name = "QUESTIONS"
	err := persist("a stream takes the questions", func(ctx context.Context) error {
		_, err := r.auditor.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: []string{"visitors.v1.ask.>"}})
		return err
	})
	hold(lasting)
	return errors.Join(err, r.auditor.delete(name))
}

// everyNodeRetired is how Kubernetes updates a cluster: each server tells its
// clients that it will end, and ends.
func everyNodeRetired(r *rig, lasting time.Duration, _ int) error {
	for _, n := range r.nodes {
		if err := errors.Join(n.retire(lasting), r.whole()); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) retire(lasting time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process.signal(syscall.SIGUSR2)
	select {
	case <-n.process.ended:
	case <-time.After(patience):
		return errors.New(n.name + " does not end")
	}
	hold(lasting)
	return n.start()
}
