package dev

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// Bounds of what wire keeps.
const (
	wireMessages = 256
	wireBytes    = 64 << 10
)

// wire keeps what went over NATS last, for the page Try it: the messages of a webhook, by
// its request id.
type wire struct {
	mu   sync.Mutex
	last []seenMessage
}

type seenMessage struct {
	requestID string
	at        time.Time
	desk.TryMessage
}

// note keeps one message, and forgets the oldest.
func (w *wire) note(requestID string, m desk.TryMessage) {
	if len(m.Body) > wireBytes {
		m.Body = append(slices.Clip(m.Body[:wireBytes]), "…"...)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.last) == wireMessages {
		w.last = slices.Delete(w.last, 0, 1)
	}
	w.last = append(w.last, seenMessage{requestID, time.Now(), m})
}

// between are the messages of a webhook in their order, with the time since it began.
func (w *wire) between(requestID string, begin time.Time) (all []desk.TryMessage) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, seen := range w.last {
		if seen.requestID == requestID {
			seen.After = seen.at.Sub(begin)
			all = append(all, seen.TryMessage)
		}
	}
	return all
}

// requestOf is the id of the webhook that a message belongs to.
func requestOf(m visit.Message) string {
	if ids := m.Header[visit.HeaderRequestID]; len(ids) > 0 {
		return ids[0]
	}
	return ""
}

// headerOf is a message's header in the order of its names.
func headerOf(m visit.Message) (all [][2]string) {
	for name, values := range m.Header {
		all = append(all, [2]string{name, strings.Join(values, ", ")})
	}
	slices.SortFunc(all, func(a, b [2]string) int { return strings.Compare(a[0], b[0]) })
	return all
}

// asking notes check-in requests and what comes of them.
type asking struct {
	relay.Asker
	wire *wire
}

func (a asking) Ask(ctx context.Context, m visit.Message) (visit.Decision, error) {
	decider := m.Subject[strings.LastIndex(m.Subject, ".")+1:]
	a.wire.note(requestOf(m), desk.TryMessage{From: "relay", To: decider, What: m.Subject, Header: headerOf(m), Body: m.Data})
	decision, err := a.Asker.Ask(ctx, m)
	reply := desk.TryMessage{From: decider, To: "relay", What: "decision"}
	if err != nil {
		reply.From, reply.What = "nats", "no decision: "+err.Error()
	} else if reply.Body, err = json.Marshal(decision); err != nil {
		reply.What = "a decision that cannot be shown"
	}
	a.wire.note(requestOf(m), reply)
	if reply.Body == nil {
		return decision, err
	}
	return decision, nil
}

// publishing notes what is stored.
type publishing struct {
	relay.Publisher
	wire *wire
}

func (p publishing) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	receipt, err := p.Publisher.Publish(ctx, m)
	seen := desk.TryMessage{From: "relay", To: "nats", What: m.Subject, Header: headerOf(m), Body: m.Data}
	if err != nil {
		seen.What += " (not stored: " + err.Error() + ")"
	}
	p.wire.note(requestOf(m), seen)
	return receipt, err
}
