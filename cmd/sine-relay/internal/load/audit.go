package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// finding is what an audit found.
type finding struct {
	Events  int `json:"events"`
	Missing int `json:"missing"`
	Twice   int `json:"twice"`
}

// audit looks until nothing is missing or its time is up: a spool may still be
// emptying.
func audit(ctx context.Context, url, ids string, within time.Duration) error {
	content, err := os.ReadFile(ids)
	if err != nil {
		return err
	}
	want := strings.Fields(string(content))
	deadline := time.Now().Add(within)
	var found finding
	for {
		found, err = compare(ctx, url, want)
		if err == nil && found.Missing == 0 || time.Now().After(deadline) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(500 * time.Millisecond):
		}
	}
	if err != nil {
		return err
	}
	report(found)
	if found.Missing > 0 || found.Twice > 0 {
		return fmt.Errorf("%d events are missing and %d are there twice", found.Missing, found.Twice)
	}
	return nil
}

func compare(ctx context.Context, url string, want []string) (finding, error) {
	stored, err := read(ctx, url)
	if err != nil {
		return finding{}, err
	}
	found := finding{Events: len(want)}
	for _, id := range want {
		switch stored[id] {
		case 0:
			found.Missing++
		case 1:
		default:
			found.Twice++
		}
	}
	return found, nil
}

// read counts the messages of the stream by event id.
func read(ctx context.Context, url string) (map[string]int, error) {
	nc, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, visit.DefaultEventStream, jetstream.OrderedConsumerConfig{HeadersOnly: true})
	if err != nil {
		return nil, err
	}
	stored := map[string]int{}
	left := consumer.CachedInfo().NumPending
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	for ; left > 0; left-- {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		stored[m.Headers().Get(visit.HeaderMsgID)]++
	}
	return stored, nil
}
