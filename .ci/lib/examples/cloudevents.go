package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// cloudEvents has the CloudEvents SDK for JavaScript read what the relay published, and
// publish what package subscriber reads.
func (r *rig) cloudEvents(sdk example) error {
	return errors.Join(r.readBySDK(sdk), r.writtenBySDK(sdk))
}

// sdkEvent is a CloudEvent as the SDK prints one.
type sdkEvent struct {
	ID, Type, Source, Subject, DataSchema string
	Time                                  time.Time
	Data                                  visit.Event
}

func (r *rig) readBySDK(sdk example) error {
	if err := r.makeDurable(); err != nil {
		return err
	}
	p, err := r.start(sdk, "consumer", "MODE=read")
	if err != nil {
		return err
	}
	err = process.Await("the SDK has read every event", 20*time.Second, func() bool { return r.acknowledged() || !p.Running() })
	if err := errors.Join(err, p.End(syscall.SIGTERM)); err != nil {
		return err
	}
	count := 0
	for text := range strings.Lines(p.Printed()) {
		var e sdkEvent
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			return fmt.Errorf("the SDK printed %.300s: %w", text, err)
		}
		of := e.Data
		if e.ID != of.ID || e.Type != visit.EventType(of.Kind) || e.Source != visit.EventSource(of.Site, of.Integration) ||
			!e.Time.Equal(of.Time) || e.Subject != of.Visit.Value || e.DataSchema != visit.EventSchema {
			return fmt.Errorf("the attributes do not say what the data do: %.500s", text)
		}
		count++
	}
	if count == 0 {
		return errors.New("the SDK read nothing")
	}
	fmt.Printf("cloudevents: the SDK reads %d events\n", count)
	return nil
}

func (r *rig) writtenBySDK(sdk example) error {
	if err := r.makeDurable(); err != nil {
		return err
	}
	example := contract.Examples("event")[0].Payload
	var want visit.Event
	if err := json.Unmarshal(example, &want); err != nil {
		return err
	}
	p, err := r.start(sdk, "operator", "MODE=write", "EVENT="+string(example))
	if err != nil {
		return err
	}
	if err := p.Succeeds(); err != nil {
		return err
	}
	got, err := r.subscribe(want.ID)
	if err == nil && (!got.Time.Equal(want.Time) || got.Person != want.Person || got.Visit != want.Visit) {
		err = fmt.Errorf("the subscriber read %+v, not %+v", got, want)
	}
	if err == nil {
		fmt.Println("cloudevents: package subscriber reads what the SDK publishes")
	}
	return err
}

// subscribe waits for an event as a Go program does.
func (r *rig) subscribe(id string) (found visit.Event, err error) {
	nc, err := nats.Connect(r.address, nats.UserInfo("consumer", password))
	if err != nil {
		return found, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return found, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cfg := subscriber.EventsConfig{Durable: "badges", Site: "hq", BindOnly: true}
	err = subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
		if e.ID == id {
			found = e
			cancel()
		}
		return nil
	})
	if err == nil && found.ID == "" {
		err = errors.New("the event that the SDK published did not come")
	}
	return found, err
}
