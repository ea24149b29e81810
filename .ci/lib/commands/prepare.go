package main

import (
	"context"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// prepare makes what a command wants to be there.
func (s *stage) prepare(text string) error {
	switch {
	case strings.Contains(text, "AUDIT"):
		_, err := s.js.CreateOrUpdateStream(context.Background(), jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"orders.>", "visitors.v1.ask.>"}})
		return err
	case strings.Contains(text, "KV_VISITOR_ORDERS REVISION"):
		return s.order("lockdown")
	case strings.Contains(text, "backup stream"): // of more than one chunk, which are acknowledged
		for range 40 {
			if _, _, err := post("http://"+s.webhook+"/sine/hq-lobby", key, "signin_after", strings.Repeat("x", 200_000)); err != nil {
				return err
			}
		}
	case strings.Contains(text, "SEQUENCE"):
		return s.visitors()
	case strings.Contains(text, " subscribe "):
		time.AfterFunc(time.Second, func() { post(s.dev.webhook, s.dev.key, "signin_after", "") })
	case strings.Contains(text, " reply "): // the example decider steps back for it, in its time
		go func() {
			for range 30 {
				time.Sleep(time.Second)
				post(s.dev.webhook, s.dev.key, "signin_before", "")
				post("http://"+s.webhook+"/sine/hq-lobby", key, "signin_before", "")
			}
		}()
	}
	return nil
}

// restore undoes what would be in the way of others.
func (s *stage) restore(text string) error {
	switch {
	case strings.Contains(text, "AUDIT"):
		return s.js.DeleteStream(context.Background(), "AUDIT")
	case strings.Contains(text, "stream rm VISITORS"):
		return s.makeStreams()
	}
	return nil
}

// last is the number of the last message of a stream.
func (s *stage) last(stream string) (uint64, error) {
	info, err := s.js.Stream(context.Background(), stream)
	if err != nil {
		return 0, err
	}
	return info.CachedInfo().State.LastSeq, nil
}

// order gives one that a command may lift.
func (s *stage) order(kind string) error {
	words := []string{"sine-relay", kind, "--site", "hq", "--for", "10m", "--reason", "documented"}
	if kind == "override" {
		words = append(words, "--accept")
	}
	_, err := s.execute(append(s.environment(), s.ofOperator()...), words...)
	return err
}

// noOrders lifts what the commands of another page left in force.
func (s *stage) noOrders() error {
	for _, kind := range []string{"lockdown", "override"} {
		if err := s.order(kind); err != nil { // what is not in force cannot be lifted
			return err
		}
		if _, err := s.execute(append(s.environment(), s.ofOperator()...), "sine-relay", kind, "lift", "--site", "hq"); err != nil {
			return err
		}
	}
	return nil
}
