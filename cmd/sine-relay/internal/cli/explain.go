package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// explainTimeout bounds the search for a record.
	explainTimeout = time.Minute
	week           = 7 * 24 * time.Hour
)

func newExplain(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "explain <reference>", Short: "Print how a check-in request was answered, by whom and why.",
		Long: "The reference is the five characters that the visitor was shown, or the whole request id. Records hold\n" +
			"no personal data.",
		Example: "  sine-relay explain K7Q2M --since 2h",
	}
	var since time.Duration
	addDuration(cmd.Flags(), &since, "since", week, "how far to look back")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		reference := strings.ToUpper(args[0])
		if len(reference) < len(visit.Reference("00000000000000000000")) {
			return usagef("%q is not a reference: it has five characters, as the visitor was shown, or is the whole request id", args[0])
		}
		return explain(cmd.Context(), in, *format, reference, since)
	}
	return cmd
}

func explain(ctx context.Context, in Process, format, reference string, since time.Duration) error {
	settings, err := operatorSettings(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	found, err := admin.FindRecords(ctx, server.AdminConfig(settings), reference, time.Now().Add(-since))
	if err != nil {
		return err
	}
	err = showRecords(in.Stdout, format, found)
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no record of %s in the last %s", terminal.Printable(reference), formatDuration(since))
	}
	return err
}

func showRecords(out io.Writer, format string, found []visit.Record) error {
	if format == asJSON {
		return printJSON(out, struct {
			Records []visit.Record `json:"records"`
		}{append([]visit.Record{}, found...)})
	}
	for _, r := range found {
		showRecord(out, r)
	}
	return nil
}

func showRecord(out io.Writer, r visit.Record) {
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
	if r.ExternalID != "" {
		line("external id", "%s", r.ExternalID)
	}
	if r.Synthetic {
		line("synthetic", "a test: there was no visitor")
	}
	line("response", "%s, after %.1f ms", r.Verdict, r.TookMs)
	line("reason", "%s", r.Rule)
	if len(r.Missing) > 0 {
		line("missing", "%s: expected, and not found at a place that counts; sine-relay decode with the body shows where", strings.Join(r.Missing, ", "))
	}
	if r.Order != nil {
		line("order", "%s, given by %s (NATS user %s) at %s", r.Order.Kind, r.Order.By, cmp.Or(r.Order.User, "unknown"), formatTime(r.Order.Since))
	}
	if r.Fallback {
		line("fallback", "yes: the configuration answered, and not deciders alone")
	}
	if r.Visit.FromSine() {
		line("visit", "%s", r.Visit.Value)
	}
	line("policy", "%s", r.Policy)
	table.flush()
	if len(r.Votes) > 0 {
		fmt.Fprintln(out)
		showVotes(out, r.Votes)
	}
	fmt.Fprintln(out)
}

func showVotes(out io.Writer, votes []visit.Vote) {
	table := newTable(out, "DECIDER", "VERDICT", "SITUATION", "TOOK", "VERSION", "REMARK")
	for _, v := range votes {
		took := ""
		if v.TookMs > 0 {
			took = fmt.Sprintf("%.1f ms", v.TookMs)
		}
		table.row(v.Decider, v.Verdict, v.Situation, took, v.Version, remark(v))
	}
	table.flush()
}

func remark(v visit.Vote) string {
	var all []string
	switch v.Situation {
	case "unasked":
		all = append(all, "not asked, its condition did not hold")
	case "incomplete":
		all = append(all, "not asked, the body lacks what it expects")
	case "unheard":
		all = append(all, "not waited for")
	}
	if v.Shadow {
		all = append(all, "shadow, does not count")
	}
	if v.Fallback {
		all = append(all, "by its fallback")
	}
	return strings.Join(all, "; ")
}
