package subscriber_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

type decideFunc = func(context.Context, visit.CheckInRequest) (visit.Decision, error)

func accept(context.Context, visit.CheckInRequest) (visit.Decision, error) {
	return visit.Decision{Verdict: visit.Accept}, nil
}

func runDecide(t *testing.T, nc *nats.Conn, cfg subscriber.DeciderConfig, f decideFunc) *run {
	t.Helper()
	return newRun(t, func(ctx context.Context, onError func(error)) error {
		cfg.OnError = onError
		return subscriber.Decide(ctx, nc, cfg, f)
	})
}

// hq is a decider for the site hq alone.
func hq() subscriber.DeciderConfig {
	return subscriber.DeciderConfig{Sites: []string{"hq"}, Version: "1.2.3"}
}

func newDecider(t *testing.T, cfg subscriber.DeciderConfig, f decideFunc) (*site, *run) {
	t.Helper()
	server := natstest.Start(t)
	s := &site{Server: server, js: server.JetStream()}
	r := runDecide(t, s.Connect(), cfg, f)
	eventually(t, "the decider listens", func() bool { return len(s.services(t)) > 0 })
	return s, r
}

// services are the deciders that discovery finds with all their endpoints.
func (s *site) services(t *testing.T) []micro.Info {
	t.Helper()
	nc := s.js.Conn()
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Unsubscribe()
	if err := nc.PublishRequest("$SRV.INFO."+visit.DeciderService, inbox, nil); err != nil {
		t.Fatal(err)
	}
	var found []micro.Info
	for {
		m, err := sub.NextMsg(100 * time.Millisecond)
		if err != nil || len(m.Data) == 0 {
			return found
		}
		var i micro.Info
		if err := json.Unmarshal(m.Data, &i); err != nil {
			t.Fatal(err)
		}
		if len(i.Endpoints) > 0 {
			found = append(found, i)
		}
	}
}

// request asks until a decider is there.
func (s *site) request(t *testing.T, subject, timeout string, data []byte) *nats.Msg {
	t.Helper()
	var reply *nats.Msg
	eventually(t, "a decider answers", func() bool {
		m := nats.NewMsg(subject)
		m.Data = data
		if timeout != "" {
			m.Header.Set(visit.HeaderTimeout, timeout)
		}
		var err error
		reply, err = s.js.Conn().RequestMsg(m, patience)
		if err != nil && !errors.Is(err, nats.ErrNoResponders) {
			t.Fatal(err)
		}
		return err == nil
	})
	return reply
}

func question(t *testing.T) []byte {
	t.Helper()
	q := visit.CheckInRequest{Origin: visit.Origin{RequestID: "K7Q2M", Site: "hq"}, Source: visit.Source(" {\"a\": 1}\n")}
	data, err := visit.MarshalCheckInRequest(&q)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (s *site) ask(t *testing.T, at, decider string) visit.Decision {
	t.Helper()
	m := s.request(t, visit.Subjects{}.Ask(at, decider), "5000", question(t))
	d, err := visit.ParseDecision(m.Data)
	if err != nil {
		t.Fatalf("%v: %v", err, m.Header)
	}
	return d
}

func TestDecide_AnswersACheckInRequest(t *testing.T) {
	t.Parallel()
	asked := make(chan visit.CheckInRequest, 1)
	left := make(chan time.Duration, 1)
	s, r := newDecider(t, hq(), func(ctx context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		deadline, _ := ctx.Deadline()
		asked <- q
		left <- time.Until(deadline)
		return visit.Decision{Verdict: visit.Reject, VisitorText: "No"}, nil
	})
	d := s.ask(t, "hq", "default")
	if d.Verdict != visit.Reject || d.VisitorText != "No" || d.Decider != "default" || d.Version != "1.2.3" {
		t.Errorf("%+v", d)
	}
	if q := next(t, asked); q.RequestID != "K7Q2M" || string(q.Source) != " {\"a\": 1}\n" {
		t.Errorf("%+v", q)
	}
	if l := next(t, left); l <= 0 || l > 5*time.Second {
		t.Errorf("%s were left", l)
	}
	r.stop(t)
}

func TestDecide_KeepsTheNameThatTheDeciderGives(t *testing.T) {
	t.Parallel()
	s, r := newDecider(t, hq(), func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		return visit.Decision{Verdict: visit.Accept, Decider: "list", Version: "7"}, nil
	})
	if d := s.ask(t, "hq", "default"); d.Decider != "list" || d.Version != "7" {
		t.Errorf("%+v", d)
	}
	r.stop(t)
}

func TestDiscovery_ShowsTheDecider(t *testing.T) {
	t.Parallel()
	cfg := subscriber.DeciderConfig{Sites: []string{"hq", "lab"}, Decider: "vip", Version: "1.2.3", Description: "the list"}
	s, r := newDecider(t, cfg, accept)
	var found []micro.Info // by a search that did not end before the reply came
	eventually(t, "both sites", func() bool {
		found = s.services(t)
		return len(found) == 1 && len(found[0].Endpoints) == 2
	})
	i := found[0]
	if i.Version != "1.2.3" || i.Description != "the list" || i.Metadata["decider"] != "vip" || i.Metadata["sites"] != "hq,lab" {
		t.Errorf("%+v", i)
	}
	e := i.Endpoints[1]
	if e.Subject != "visitors.v1.ask.lab.vip" || e.QueueGroup != "q" || e.Metadata["site"] != "lab" || e.Metadata["decider"] != "vip" {
		t.Errorf("%+v", e)
	}
	s.ask(t, "lab", "vip")
	ping, err := s.js.Conn().Request("$SRV.PING", nil, patience)
	if err != nil || !strings.Contains(string(ping.Data), visit.DeciderService) {
		t.Errorf("%v", err)
	}
	eventually(t, "statistics", func() bool {
		stats, err := s.js.Conn().Request("$SRV.STATS."+visit.DeciderService, nil, patience)
		return err == nil && strings.Contains(string(stats.Data), `"decided":1`)
	})
	r.stop(t)
	if left := s.services(t); len(left) != 0 {
		t.Errorf("still there: %+v", left)
	}
}

func TestDecide_TwoInstancesShareTheCheckInRequests(t *testing.T) {
	t.Parallel()
	s := &site{Server: natstest.Start(t)}
	s.js = s.JetStream()
	answers := make(chan string, 1000)
	by := func(name string) decideFunc {
		return func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			answers <- name
			return visit.Decision{Verdict: visit.Accept}, nil
		}
	}
	a, b := runDecide(t, s.Connect(), hq(), by("a")), runDecide(t, s.Connect(), hq(), by("b"))
	eventually(t, "both listen", func() bool { return len(s.services(t)) == 2 })
	const n = 100
	for range n {
		s.ask(t, "hq", "default")
	}
	count := map[string]int{}
	for range n {
		count[next(t, answers)]++
	}
	if count["a"] == 0 || count["b"] == 0 || len(answers) != 0 {
		t.Errorf("%v, and %d more", count, len(answers))
	}
	a.stop(t)
	b.stop(t)
}

// A subscription of nats.go calls its handler serially.
func TestDecide_RunsConcurrentlyUpToTheCap(t *testing.T) {
	t.Parallel()
	const limit = 8
	cfg := hq()
	cfg.Concurrency = limit
	entered, leave := make(chan bool, limit), make(chan bool)
	s, r := newDecider(t, cfg, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
		entered <- true
		<-leave
		return visit.Decision{Verdict: visit.Accept}, nil
	})
	var asking sync.WaitGroup
	replies := make(chan *nats.Msg, limit)
	for range limit {
		asking.Go(func() { replies <- s.request(t, "visitors.v1.ask.hq.default", "20000", question(t)) })
	}
	for range limit {
		next(t, entered)
	}
	m := s.request(t, "visitors.v1.ask.hq.default", "20000", question(t))
	refused(t, m, "503", "overloaded")
	if err := next(t, r.errors); !errors.Is(err, subscriber.ErrOverloaded) {
		t.Errorf("%v", err)
	}
	close(leave)
	asking.Wait()
	for range limit {
		if _, err := visit.ParseDecision(next(t, replies).Data); err != nil {
			t.Error(err)
		}
	}
	r.stop(t)
}

func TestDecide_EndsOnAnInvalidConfigurationOrConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for name, c := range map[string]struct {
		change func(*subscriber.DeciderConfig)
		want   string
	}{
		"no site":        {func(c *subscriber.DeciderConfig) { c.Sites = nil }, "at least one site"},
		"a wildcard":     {func(c *subscriber.DeciderConfig) { c.Sites = []string{"*"} }, `field Sites must match [A-Za-z0-9_-]{1,64}, got "*"`},
		"a site twice":   {func(c *subscriber.DeciderConfig) { c.Sites = []string{"hq", "hq"} }, "twice"},
		"a dotted name":  {func(c *subscriber.DeciderConfig) { c.Decider = "a.b" }, `field Decider must match [A-Za-z0-9_-]{1,64}, got "a.b"`},
		"no version":     {func(c *subscriber.DeciderConfig) { c.Version = "" }, `field Version must be a semantic version such as 1.2.3, got ""`},
		"half a version": {func(c *subscriber.DeciderConfig) { c.Version = "1" }, `field Version must be a semantic version such as 1.2.3, got "1"`},
		"a negative cap": {func(c *subscriber.DeciderConfig) { c.Concurrency = -1 }, "negative"},
	} {
		cfg := hq()
		c.change(&cfg)
		err := runDecide(t, s.Connect(), cfg, accept).wait(t)
		if err == nil {
			t.Errorf("%s: no error", name)
		}
		contains(t, err, c.want)
	}
	nc := s.Connect()
	r := runDecide(t, nc, hq(), accept)
	eventually(t, "the decider listens", func() bool { return len(s.services(t)) > 0 })
	nc.Close()
	if err := r.wait(t); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("%v", err)
	}
}

func TestDecide_AnswersAfterOnReady(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	ctx, stop := context.WithCancel(context.Background())
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- subscriber.Decide(ctx, s.Connect(), subscriber.DeciderConfig{
			Sites: []string{"hq", "depot"}, Version: "1.0.0", OnReady: func() { close(ready) },
		}, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
			return visit.Decision{Verdict: visit.Accept}, nil
		})
	}()
	<-ready
	asking := s.Connect()
	for _, site := range []string{"hq", "depot"} {
		if _, err := asking.Request(visit.Subjects{}.Ask(site, "default"), []byte("{}"), patience); err != nil {
			t.Errorf("%s: %v", site, err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
