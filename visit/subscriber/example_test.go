package subscriber_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// A program that opens the car park's barrier for visitors of one site.
func ExampleEvents() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}

	cfg := subscriber.EventsConfig{Durable: "car-park", Site: "hq", OnError: func(err error) { log.Print(err) }}
	err = subscriber.Events(ctx, js, cfg, func(ctx context.Context, e visit.Event) error {
		// e.ID is the same when an event comes a second time.
		fmt.Println(e.ID, e.Kind, e.Time, e.VisitorType)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A program that prints a badge, which twice would be a nuisance.
func ExampleDedupe() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	// As long as events are kept, and a little longer.
	bucket, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "badges-seen", TTL: 31 * 24 * time.Hour})
	if err != nil {
		log.Fatal(err)
	}

	printBadge := func(ctx context.Context, e visit.Event) error {
		fmt.Println("badge for visitor", e.ID)
		return nil
	}
	cfg := subscriber.EventsConfig{Durable: "badges", Kind: visit.KindCheckedIn}
	if err := subscriber.Events(ctx, js, cfg, subscriber.Dedupe(subscriber.DedupeInBucket(bucket), printBadge)); err != nil {
		log.Fatal(err)
	}
}

// A program that reads yesterday's events once more, under a name of its own.
func ExampleEvents_startTime() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nc, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}

	cfg := subscriber.EventsConfig{Durable: "audit-again", StartTime: time.Now().AddDate(0, 0, -1)}
	err = subscriber.Events(ctx, js, cfg, func(ctx context.Context, e visit.Event) error {
		fmt.Println(e.Site, e.Kind, e.Time)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A program that keeps who came, in one entry for each event and its corrections.
func ExampleEvents_corrections() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}

	entries := map[string]visit.Event{} // in place of a table with the original's id as its key
	cfg := subscriber.EventsConfig{Durable: "visitor-list", Kind: visit.KindCheckedIn, Corrections: true}
	err = subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
		// A correction may come before its event, where that failed at first.
		if known, found := entries[e.OriginalID()]; !found || e.Supersedes(&known) {
			entries[e.OriginalID()] = e
		}
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
}

// A decider that lets contractors in during working hours only, by the clock of the
// site: set its timeZone in the relay's configuration, or it is taken for UTC.
func ExampleDecide() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	nc, err := nats.Connect(os.Getenv("NATS_URL"), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	defer nc.Close()

	cfg := subscriber.DeciderConfig{Sites: []string{"hq"}, Version: "1.0.0", OnError: func(err error) { log.Print(err) }}
	err = subscriber.Decide(ctx, nc, cfg, func(ctx context.Context, q visit.CheckInRequest) (visit.Decision, error) {
		at, err := q.LocalTime() // q.Time may be in UTC
		if err != nil {
			return visit.Decision{}, err // the visitor gets the integration's fallback
		}
		if hour := at.Hour(); q.VisitorType == "Contractor" && (hour < 7 || hour >= 18) {
			return visit.Decision{
				Verdict:     visit.Reject,
				VisitorText: "Contractors are welcome from 7 to 18 o'clock.",
				AdminNote:   "Outside working hours.",
			}, nil
		}
		return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome!"}, nil
	})
	if err != nil {
		log.Fatal(err)
	}
}
