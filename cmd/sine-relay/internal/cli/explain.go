package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// explain prints who decided what, when and by which rule, for the reference that
// a visitor read out.
func explain(ctx context.Context, in Process) int {
	f := flag.NewFlagSet("sine-relay explain", flag.ContinueOnError)
	f.SetOutput(in.Stderr)
	since := f.Duration("since", 7*24*time.Hour, "how far to look back")
	if f.Parse(in.Args) != nil {
		return exitUsage
	}
	reference := strings.ToUpper(f.Arg(0))
	if f.NArg() != 1 || len(reference) < len(visit.Reference("00000000000000000000")) {
		fmt.Fprintln(in.Stderr, "usage: sine-relay explain [--since 168h] REFERENCE\nThe reference is what the visitor was shown, five characters, or the whole request id.")
		return exitUsage
	}
	settings, code := operatorSettings(in)
	if code != exitOK {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	found, err := broker.FindRecords(ctx, server.BrokerConfig(settings, nil, nil, nil), reference, time.Now().Add(-*since))
	if err != nil {
		return orderly(in, err)
	}
	if len(found) == 0 {
		fmt.Fprintf(in.Stderr, "sine-relay: no record of %s since %s\n", terminal.Printable(reference), formatTime(time.Now().Add(-*since)))
		return exitFailed
	}
	for _, r := range found {
		explainOne(in.Stdout, r)
	}
	return exitOK
}

func explainOne(out io.Writer, r visit.Record) {
	table := newTable(out)
	line := func(name, format string, args ...any) { table.row(name, fmt.Sprintf(format, args...)) }
	line("request", "%s", r.RequestID)
	if id := r.Trace.XRequestID; id != "" {
		line("x-request-id", "%s", id)
	}
	if trace := r.Trace.Traceparent; trace != "" {
		line("traceparent", "%s", trace)
	}
	line("received", "%s", r.Received.UTC().Format(time.RFC3339Nano))
	line("at", "site %s, integration %s", r.Site, r.Integration)
	if r.Synthetic {
		line("synthetic", "nobody stood at the door")
	}
	line("answer", "%s, after %.1f ms", r.Verdict, r.TookMs)
	line("because", "%s", r.Rule)
	if r.Order != nil {
		line("order", "%s, given by %s (NATS user %s) at %s", r.Order.Kind, r.Order.By, cmp.Or(r.Order.User, "unknown"), formatTime(r.Order.Since))
	}
	if r.Fallback {
		line("fallback", "yes: the configuration answered, and not deciders alone")
	}
	if r.Visit.Basis == visit.VisitKeyFromSine {
		line("visit", "%s", r.Visit.Value)
	}
	line("policy", "%s", r.Policy)
	table.flush()
	if len(r.Votes) > 0 {
		fmt.Fprintln(out)
		explainVotes(out, r.Votes)
	}
	fmt.Fprintln(out)
}

func explainVotes(out io.Writer, votes []visit.Vote) {
	table := newTable(out, "DECIDER", "VERDICT", "SITUATION", "MS", "VERSION", "REMARK")
	for _, v := range votes {
		table.row(v.Decider, v.Verdict, v.Situation, fmt.Sprintf("%.1f", v.TookMs), v.Version, remark(v))
	}
	table.flush()
}

func remark(v visit.Vote) string {
	var all []string
	switch v.Situation {
	case "unasked":
		all = append(all, "not asked, its condition did not hold")
	case "unheard":
		all = append(all, "not waited for")
	}
	if v.Shadow {
		all = append(all, "shadow, not obeyed")
	}
	if v.Fallback {
		all = append(all, "by its fallback")
	}
	return strings.Join(all, "; ")
}
