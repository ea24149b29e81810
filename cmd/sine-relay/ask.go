package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/door"
	"github.com/sine-relay/sine-relay/visit"
)

// sampleRequest is what ask sends unless it is given a body.
const sampleRequest = `{"event":"signin_before","date":%q,"data":{"firstName":"Marguerite","lastName":"Oyelaran","company":"Bexley Rigging","passType":"Contractor"}}`

// ask tries a door without a visitor: it puts a synthetic question to the real
// deciders and shows what the iPad would get.
func ask(ctx context.Context, in invocation) int {
	f := flag.NewFlagSet("sine-relay ask", flag.ContinueOnError)
	f.SetOutput(in.err)
	integration := f.String("integration", relay.DefaultIntegration, "whose deciders are asked")
	file := f.String("file", "", "a body as Sine sends it; a made-up visitor unless given")
	if f.Parse(in.args) != nil {
		return exitUsage
	}
	if f.NArg() > 0 {
		fmt.Fprintf(in.err, "sine-relay ask: %q is no flag\n", f.Arg(0))
		return exitUsage
	}
	body := fmt.Appendf(nil, sampleRequest, time.Now().UTC().Format(time.RFC3339))
	if *file != "" {
		var err error
		if body, err = os.ReadFile(*file); err != nil {
			return orderly(in, err)
		}
	}
	settings, code := doorSettings(in)
	if code != exitOK {
		return code
	}
	opened, err := broker.OpenDoor(ctx, brokerConfig(settings, nil, nil, nil))
	if err != nil {
		return orderly(in, err)
	}
	defer opened.Close()
	r, err := relay.New(relay.Config{
		Integrations: settings.Integrations, Subjects: visit.Subjects{Prefix: settings.SubjectPrefix},
		Asker: opened, Orders: opened, Limits: limitsOf(settings),
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return orderly(in, err)
	}
	trial, err := r.Try(ctx, *integration, body)
	if err != nil {
		return orderly(in, err)
	}
	showTrial(in.out, trial)
	if trouble := opened.Trouble(); trouble != "" {
		fmt.Fprintln(in.err, "sine-relay: NATS:", printable(trouble))
	}
	return exitOK
}

func showTrial(out io.Writer, t relay.Trial) {
	if len(t.Votes) > 0 {
		explainVotes(out, t.Votes)
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "because  %s\n", printable(t.Given.Rule))
	if t.Given.Situation != door.Decided {
		fmt.Fprintf(out, "situation  %s\n", t.Given.Situation)
	}
	fmt.Fprintf(out, "after  %.1f ms\nHTTP  %d\n%s\n", ms(t.Took), t.Status, printableLines(string(t.Body)))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
