//go:build unix

package subscriber_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// childOf names the server of a decider in a process of its own, which can be
// stopped.
const childOf = "SUBSCRIBER_TEST_CHILD_OF"

func TestMain(m *testing.M) {
	if url := os.Getenv(childOf); url != "" {
		fmt.Fprintln(os.Stderr, decideIn(url))
		os.Exit(1)
	}
	wait.Main(m)
}

// decideIn tells "asked" of each question.
func decideIn(url string) error {
	nc, err := nats.Connect(url)
	if err != nil {
		return err
	}
	return subscriber.Decide(context.Background(), nc, hq(), func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		return visit.Decision{Verdict: visit.Accept}, nc.Publish("asked", nil)
	})
}

func startChild(t *testing.T, s *site) *os.Process {
	t.Helper()
	before := len(s.services(t))
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childOf+"="+s.URL())
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Process.Kill(); child.Wait() })
	eventually(t, "the child listens", func() bool { return len(s.services(t)) > before })
	return child.Process
}

// What waited in the socket of a program that was stopped looks new when it is
// read.
func TestDecide_ASuspendedDeciderDropsExpiredCheckInRequests(t *testing.T) {
	t.Parallel()
	s := &site{Server: natstest.Start(t)}
	s.js = s.JetStream()
	asked, err := s.js.Conn().SubscribeSync("asked")
	if err != nil {
		t.Fatal(err)
	}
	child := startChild(t, s)
	s.ask(t, "hq", "default")

	const old = 40
	if err := child.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var answers []*nats.Subscription
	for range old {
		answers = append(answers, s.send(t, "200"))
	}
	lasting := s.send(t, "600000")
	if err := s.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second) // the budget of all but one, and longer than nobody hears of
	if err := child.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if _, err := lasting.NextMsg(patience); err != nil {
		t.Errorf("the question that has time: %v", err)
	}
	eventually(t, "all old ones are expired", func() bool { return s.stats(t).Expired == old })
	eventually(t, "a new question is answered", func() bool {
		m, err := s.send(t, "5000").NextMsg(5 * time.Second)
		return err == nil && len(m.Data) > 0
	})
	if got := s.stats(t); got.Stalls == 0 || got.Late != 0 {
		t.Errorf("%+v", got)
	}
	if err := s.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	if n, _, err := asked.Pending(); n != 3 || err != nil {
		t.Errorf("asked %d times, %v", n, err)
	}
	for _, a := range answers {
		if n, _, _ := a.Pending(); n != 0 {
			t.Error("a question that was too old was answered")
		}
	}
}

// A slow OnError keeps the questions waiting that come after it.
func TestTimeout_TheWaitForOnErrorCounts(t *testing.T) {
	t.Parallel()
	s := &site{Server: natstest.Start(t)}
	s.js = s.JetStream()
	ctx, stop := context.WithCancel(t.Context())
	entered, leave := make(chan bool, 10), make(chan bool)
	reporting, reported := make(chan bool, 10), make(chan bool)
	ended := make(chan error, 1)
	cfg := hq()
	cfg.Concurrency = 1
	cfg.OnError = func(err error) {
		if errors.Is(err, subscriber.ErrOverloaded) {
			reporting <- true
			<-reported
		}
	}
	go func() {
		ended <- subscriber.Decide(ctx, s.Connect(), cfg, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			entered <- true
			<-leave
			return visit.Decision{Verdict: visit.Accept}, nil
		})
	}()
	eventually(t, "the decider listens", func() bool { return len(s.services(t)) > 0 })
	first := s.send(t, "600000")
	next(t, entered)
	s.send(t, "600000") // one too many
	next(t, reporting)
	s.send(t, "500")
	if err := s.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	close(leave)
	if _, err := first.NextMsg(patience); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second) // the time of the one that waits
	close(reported)
	eventually(t, "it is expired", func() bool { return s.stats(t).Expired == 1 })
	if len(entered) != 0 {
		t.Error("the decider was asked all the same")
	}
	stop()
	if err := next(t, ended); err != nil {
		t.Error(err)
	}
}

// Until NATS drops the one of two that hangs, the other one answers what it is asked,
// at first or at the second attempt.
func TestDecide_TheOtherInstanceAnswersWhileOneIsSuspended(t *testing.T) {
	t.Parallel()
	s := &site{Server: natstest.Start(t, func(o *server.Options) { o.PingInterval, o.MaxPingsOut = time.Second, 2 })}
	s.js = s.JetStream()
	child := startChild(t, s)
	startChild(t, s)
	reg := prometheus.NewRegistry()
	b, err := broker.Connect(broker.Config{NATS: dial.Config{Servers: []string{s.URL()}}, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	ask := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		_, err := b.Ask(ctx, visit.Message{Root: visit.RootAsk, Subject: "visitors.v1.ask.hq.default", Data: question(t)})
		return err
	}
	eventually(t, "they answer", func() bool { return ask() == nil })
	if err := child.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	const enough = 20
	answered, asked, inARow := 0, 0, 0
	eventually(t, "NATS has dropped the one that hangs", func() bool {
		before := promtest.Sum(t, reg, "sine_relay_decider_request_retries_total")
		err := ask()
		asked++
		if err == nil {
			answered++
		}
		if inARow++; err != nil || promtest.Sum(t, reg, "sine_relay_decider_request_retries_total") > before {
			inARow = 0
		}
		return inARow == enough
	})
	secondTime := promtest.Sum(t, reg, "sine_relay_decider_request_retries_total")
	t.Logf("of %d questions %d were answered, %v were asked again", asked, answered, secondTime)
	if secondTime == 0 {
		t.Error("none was asked again: the test tries nothing")
	}
}
