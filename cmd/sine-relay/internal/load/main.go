// Command load is for the checks on a cluster: it sends made-up visitors at a
// steady rate while something is done to the relays, and afterwards holds what
// was answered against what is in the stream.
//
//	load send  -url URL -key KEY -for 30s -ids FILE    until then or SIGTERM; appends the ids that were answered 200
//	load audit -nats URL -ids FILE -within 30s         each of them is in the stream, once
//
// Both print one line of JSON, and end with 1 when a webhook failed, or an event
// is missing or there twice.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("load", flag.ContinueOnError)
	url := f.String("url", "", "an integration's webhook")
	key := f.String("key", "", "its key")
	length := f.Duration("for", 30*time.Second, "how long webhooks are sent")
	rate := f.Int("rate", 60, "webhooks a second")
	natsURL := f.String("nats", "", "NATS, with a user who may read the stream")
	ids := f.String("ids", "", "file of event ids")
	within := f.Duration("within", 30*time.Second, "how long the audit waits for what is missing")
	if len(args) == 0 {
		return fmt.Errorf("neither send nor audit")
	}
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "send":
		return send(ctx, target{*url, *key}, *rate, *length, *ids)
	case "audit":
		return audit(ctx, *natsURL, *ids, *within)
	}
	return fmt.Errorf("%q is neither send nor audit", args[0])
}

func report(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err) // only plain structs come here
	}
	fmt.Println(string(line))
}
