// Command load is for the checks on a cluster: it sends made-up visitors at a
// steady rate while something is done to the relays, and afterwards holds what
// was answered against what is in the stream.
//
//	load send  -url URL -key KEY -for 30s -ids FILE    until then or SIGTERM; appends the ids that were answered 200
//	load audit -nats URL -ids FILE -within 30s         each of them is in the stream, once
//	load get   -url URL                                prints what is there, as from a relay's admin listener
//
// The first two print one line of JSON, and end with 1 when a webhook failed, or an
// event is missing or there twice.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
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
		return fmt.Errorf("not send, audit or get")
	}
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "send":
		return send(ctx, target{*url, *key}, *rate, *length, *ids)
	case "audit":
		return audit(ctx, *natsURL, *ids, *within)
	case "get":
		return get(ctx, *url)
	}
	return fmt.Errorf("%q is not send, audit or get", args[0])
}

func report(v any) {
	line, err := json.Marshal(v)
	if err != nil {
		panic(err) // only plain structs come here
	}
	fmt.Println(string(line))
}

func get(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(os.Stdout, resp.Body)
	return err
}
