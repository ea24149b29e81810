package broker_test

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// A decider knows the reply subjects of its own questions. From them it must not
// know those of others, or it could decide for them.
func TestReply_SubjectsOfOtherRequestsCannotBeGuessed(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	shadow, watchlist := s.Connect(), s.Connect()
	replies := make(chan string, 100)
	if _, err := shadow.Subscribe("visitors.v1.ask.hq.shadow", func(m *nats.Msg) { replies <- m.Reply }); err != nil {
		t.Fatal(err)
	}
	if err := shadow.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := watchlist.Subscribe("visitors.v1.ask.hq.watchlist", func(m *nats.Msg) {
		for _, guess := range beside(<-replies) {
			shadow.Publish(guess, []byte(`{"decision":"accept"}`))
		}
		shadow.Flush()
		m.Respond([]byte(`{"decision":"reject"}`))
	}); err != nil {
		t.Fatal(err)
	}
	if err := watchlist.Flush(); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		toShadow := question()
		toShadow.Subject = "visitors.v1.ask.hq.shadow"
		go b.Ask(within(t, patience), toShadow)
		if d, err := b.Ask(within(t, patience), question()); err != nil || d.Verdict != "reject" {
			t.Fatalf("the watchlist's rejection became %+v %v", d, err)
		}
	}
	if n := sample(t, reg, "sine_relay_decider_late_replies_total"); n == 0 {
		t.Error("no guess has reached the relay: the test tries nothing")
	}
}

// beside guesses the reply subjects around one: a counter's neighbours, in the
// bases that a counter is written in.
func beside(reply string) (all []string) {
	dot := strings.LastIndexByte(reply, '.')
	inbox, token := reply[:dot+1], reply[dot+1:]
	for _, base := range []int{10, 16, 32, 36} {
		n, _ := strconv.ParseUint(strings.ToLower(token), base, 64)
		for i := uint64(1); i < 40; i++ {
			all = append(all, inbox+strconv.FormatUint(n+i, base))
		}
	}
	last := token[len(token)-1]
	for c := byte('0'); c <= 'z'; c++ {
		if c != last {
			all = append(all, inbox+token[:len(token)-1]+string(c))
		}
	}
	return all
}

// No two reply subjects have more in common than the inbox, of questions and of
// messages alike.
func TestReply_SubjectsShareOnlyTheInbox(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := ready(t, s, func(c *broker.Config) { c.NATS.InboxPrefix = "_OURS" })
	seen := make(chan string, 100)
	listener := s.Connect()
	for _, subject := range []string{"visitors.v1.ask.>", "visitors.v1.event.>"} {
		if _, err := listener.Subscribe(subject, func(m *nats.Msg) {
			seen <- m.Reply
			if strings.Contains(m.Subject, ".ask.") {
				m.Respond([]byte(`{"decision":"accept"}`))
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := listener.Flush(); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := b.Ask(within(t, patience), question()); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Publish(within(t, patience), event(fmt.Sprint("own", i))); err != nil {
			t.Fatal(err)
		}
	}
	tokens := map[string]bool{}
	for range 40 {
		reply := wait.Receive(t, "the reply subject", seen)
		parts := strings.Split(reply, ".")
		if len(parts) != 3 || parts[0] != "_OURS" || len(parts[1]) < 26 || len(parts[2]) < 26 {
			t.Errorf("answered on %s", reply)
		}
		for i := range len(parts[2]) - 13 { // 13 signs of 5 bits are more than 64 bits
			part := parts[2][i : i+13]
			if tokens[part] {
				t.Errorf("%s shares %s with another", reply, part)
			}
			tokens[part] = true
		}
	}
}

func TestDuplicate_RepliesOfDecidersWithoutAQueueGroupAreReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg, log := prometheus.NewRegistry(), &logtest.Buffer{}
	b := ready(t, s, func(c *broker.Config) {
		c.Registerer, c.Logger = reg, slog.New(slog.NewTextHandler(log, nil))
		c.Requests = []string{question().Subject}
	})
	const seconds = "sine_relay_decider_duplicate_replies_total"
	if n := sample(t, reg, seconds, "site", "hq", "decider", "watchlist"); n != 0 {
		t.Fatalf("%v before any", n)
	}
	for range 2 {
		decide(t, s.Connect(), func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept","visitorText":"Zmark"}`)) })
	}
	for i := range 5 {
		if _, err := b.Ask(within(t, patience), question()); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the second reply is counted", func() bool {
			return sample(t, reg, seconds, "site", "hq", "decider", "watchlist") == float64(i+1)
		})
	}
	if n := sample(t, reg, "sine_relay_decider_late_replies_total"); n != 0 {
		t.Errorf("%v of them were taken for late ones", n)
	}
	text := log.String()
	if n := strings.Count(text, "duplicate reply to a check-in request"); n != 1 || !strings.Contains(text, "level=WARN") || !strings.Contains(text, "site=hq decider=watchlist") {
		t.Errorf("logged %d times within a minute:\n%s", n, text)
	}
	if strings.Contains(text, "Zmark") {
		t.Errorf("the log holds a decider's text:\n%s", text)
	}
}

// Whoever sees a message being published sees its reply subject, and on a NATS
// that asks nobody can acknowledge it. The stream's own word then comes second.
func TestDuplicate_ForgedAcknowledgementIsReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg, log := prometheus.NewRegistry(), &logtest.Buffer{}
	b := ready(t, s, func(c *broker.Config) { c.Registerer, c.Logger = reg, slog.New(slog.NewTextHandler(log, nil)) })
	const seconds = "sine_relay_duplicate_acknowledgements_total"
	if _, err := b.Publish(within(t, patience), event("honest")); err != nil {
		t.Fatal(err)
	}
	forger := s.Connect()
	if _, err := forger.Subscribe("visitors.v1.event.>", func(m *nats.Msg) { m.Respond([]byte(`{"stream":"VISITORS","seq":7}`)) }); err != nil {
		t.Fatal(err)
	}
	if err := forger.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := sample(t, reg, seconds); n != 0 {
		t.Errorf("%v before there was a forger", n)
	}
	if _, err := b.Publish(within(t, patience), event("forged")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "one answer too many is counted", func() bool { return sample(t, reg, seconds) == 1 })
	if !strings.Contains(log.String(), "subject=visitors.v1.event.hq.checked_in") {
		t.Errorf("the log does not say so:\n%s", log.String())
	}
}

// An acknowledgement of each try of one message is no forgery; one more is.
func TestDuplicate_AcknowledgementOfOurOwnRetryIsNoForgery(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	reg := prometheus.NewRegistry()
	b := ready(t, s, func(c *broker.Config) { c.Registerer = reg })
	if err := s.JetStream().DeleteStream(t.Context(), visit.DefaultEventStream); err != nil {
		t.Fatal(err)
	}
	tries := make(chan *nats.Msg, 100)
	stream := s.Connect()
	if _, err := stream.ChanSubscribe("visitors.v1.event.>", tries); err != nil || stream.Flush() != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	go func() {
		_, err := b.Publish(within(t, patience), event("slow"))
		published <- err
	}()
	first, again := wait.Receive(t, "the first try", tries), wait.Receive(t, "the second try", tries)
	const seconds = "sine_relay_duplicate_acknowledgements_total"
	acknowledge := func(m *nats.Msg) {
		if err := m.Respond([]byte(`{"stream":"VISITORS","seq":7}`)); err != nil {
			t.Fatal(err)
		}
	}
	acknowledge(first)
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	acknowledge(again)
	for len(tries) > 0 { // sent before the first answer came
		acknowledge(<-tries)
	}
	// Behind them on the same connections.
	acknowledge(again)
	eventually(t, "the one too many is counted", func() bool { return sample(t, reg, seconds) > 0 })
	if n := sample(t, reg, seconds); n != 1 {
		t.Errorf("%v were counted", n)
	}
}
