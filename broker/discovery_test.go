package broker_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/discovery"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// stats are a decider's, in NATS discovery.
func stats(id, subject string) string {
	return fmt.Sprintf(`{"name":%q,"id":%q,"version":"1.0.0","endpoints":[{"subject":%q,"data":{"decided":3}}]}`, visit.DeciderService, id, subject)
}

// answering answers every search for deciders with these replies, and reports how
// many searches there were.
func answering(t *testing.T, s *natstest.Server, replies ...string) {
	t.Helper()
	nc := s.Connect()
	_, err := nc.Subscribe("$SRV.STATS.>", func(m *nats.Msg) {
		for _, r := range replies {
			m.Respond([]byte(r))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestDeciders_SearchIsBounded(t *testing.T) {
	padded := func(bytes int) string {
		return strings.Replace(stats("padded", "x"), `"version"`, fmt.Sprintf(`"metadata":{"x":%q},"version"`, strings.Repeat("x", bytes)), 1)
	}
	var crowd []string
	for n := range 1200 {
		crowd = append(crowd, stats(fmt.Sprint("one-of-many-", n), "visitors.v1.ask.hq.default"))
	}
	for _, c := range []struct {
		name     string
		replies  []string
		found    int // at most, where it is cut
		oversize int
		cut      bool
		says     string
	}{
		{"one answers", []string{stats("a", "visitors.v1.ask.hq.default")}, 1, 0, false, ""},
		{"one answers at length", []string{stats("a", "x"), padded(900 << 10)}, 1, 1, false, "1 replies were larger than 256 KiB"},
		{"many answer at length", slicesOf(400, padded(900<<10)), 0, 9, true, "somebody may be missing"},
		{"many answer", crowd, 1000, 0, true, "more than 1000 replies"},
		{"what is no answer", []string{"", "{", `{"name":"other"}`, `[]`, `{"name":"` + visit.DeciderService + `","endpoints":[` + strings.Repeat("{},", 80_000) + "{}]}"}, 1, 0, false, ""},
	} {
		// Each with a NATS of its own: who answers at length does so for a while.
		for _, by := range []string{"a relay", "an operator"} {
			t.Run(c.name+" to "+by, func(t *testing.T) {
				s := natstest.Start(t)
				answering(t, s, c.replies...)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				search := ready(t, s).Deciders
				if by == "an operator" {
					search = func(ctx context.Context) ([]visit.Decider, discovery.Outcome, error) {
						return admin.FindDeciders(ctx, admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}})
					}
				}
				found, d, err := search(ctx)
				for c.cut && !d.Cut && err == nil {
					// On a busy machine a flood has pauses, which end the search.
					found, d, err = search(ctx)
				}
				if err != nil || d.Cut != c.cut || d.Oversize > c.oversize || !c.cut && (len(found) != c.found || d.Oversize != c.oversize) || len(found) > c.found {
					t.Errorf("%d found, %+v, %v", len(found), d, err)
				}
				if said := d.String(); !strings.Contains(said, c.says) || c.says == "" && said != "" {
					t.Errorf("it says %q", said)
				}
			})
		}
	}
}

func slicesOf(n int, text string) (all []string) {
	for range n {
		all = append(all, text)
	}
	return all
}

// Replies without end come over a connection of their own: a visitor's question
// neither waits behind them nor fails with the connection.
func TestDeciders_FloodedSearchDoesNotDelayAsk(t *testing.T) {
	s := natstest.Start(t)
	decider := s.Connect()
	if _, err := decider.Subscribe("visitors.v1.ask.hq.default", func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept"}`)) }); err != nil {
		t.Fatal(err)
	}
	if err := decider.Flush(); err != nil {
		t.Fatal(err)
	}
	answering(t, s, slicesOf(300, strings.Repeat("x", 900<<10))...)
	b := ready(t, s)
	before := b.Status()
	var searching sync.WaitGroup
	searching.Go(func() {
		for n := range 3 {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			// On a busy machine the flood has pauses, which end the search before it is cut.
			if _, d, err := b.Deciders(ctx); err != nil || n == 0 && !d.Cut && d.Oversize == 0 {
				t.Errorf("search %d: %+v %v", n, d, err)
			}
			cancel()
		}
	})
	for range 50 {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if _, err := b.Ask(ctx, visit.Message{Subject: "visitors.v1.ask.hq.default", Data: []byte("{}")}); err != nil {
			t.Errorf("a question: %v", err)
		}
		cancel()
		<-time.After(10 * time.Millisecond)
	}
	searching.Wait()
	if after := b.Status(); !after.RequestsConnected || after.LastError != before.LastError {
		t.Errorf("the door's connection: %+v", after)
	}
}
