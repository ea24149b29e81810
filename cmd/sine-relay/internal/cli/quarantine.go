package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// natsTimeout is how long one answer of NATS may take for somebody at a
// terminal.
const natsTimeout = 10 * time.Second

// selection is which messages of the quarantine are meant.
type selection struct {
	reason, integration string
	sequences           []uint64
}

func (s *selection) flags(name string, in Process) *flag.FlagSet {
	f := flag.NewFlagSet("sine-relay quarantine "+name, flag.ContinueOnError)
	f.SetOutput(in.Stderr)
	f.StringVar(&s.reason, "reason", "", fmt.Sprintf("only what was quarantined for this reason, one of %v", visit.Reasons))
	f.StringVar(&s.integration, "integration", "", "only what came to this integration")
	return f
}

// parse reads flags and sequence numbers in any order.
func (s *selection) parse(f *flag.FlagSet, args []string) error {
	for {
		if err := f.Parse(args); err != nil {
			return err
		}
		if f.NArg() == 0 {
			break
		}
		sequence, err := strconv.ParseUint(f.Arg(0), 10, 64)
		if err != nil {
			return complain(f, "%q is not the sequence number of a message; ls --all shows them", f.Arg(0))
		}
		s.sequences = append(s.sequences, sequence)
		args = f.Args()[1:]
	}
	if s.reason != "" && !slices.Contains(visit.Reasons, visit.Reason(s.reason)) {
		return complain(f, "%q is not a reason; there are %v", s.reason, visit.Reasons)
	}
	return nil
}

func complain(f *flag.FlagSet, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	fmt.Fprintf(f.Output(), "%s: %v\n", f.Name(), err)
	return err
}

func (s *selection) holds(k broker.Kept) bool {
	return (s.reason == "" || string(k.Reason) == s.reason) &&
		(s.integration == "" || k.Integration == s.integration) &&
		(len(s.sequences) == 0 || slices.Contains(s.sequences, k.Sequence))
}

// openQuarantine connects as the settings say.
func openQuarantine(ctx context.Context, in Process, read func(Process) (config.Settings, int)) (*broker.Quarantine, config.Settings, int) {
	settings, code := read(in)
	if code != exitOK {
		return nil, settings, code
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	q, err := broker.OpenQuarantine(ctx, server.BrokerConfig(settings, nil, nil, nil))
	if err != nil {
		return nil, settings, orderly(in, err)
	}
	return q, settings, exitOK
}

// quarantineList shows what could not be understood, by reason and integration.
func quarantineList(ctx context.Context, in Process) int {
	var s selection
	f := s.flags("ls", in)
	all := f.Bool("all", false, "list every message")
	if s.parse(f, in.Args) != nil {
		return exitUsage
	}
	q, _, code := openQuarantine(ctx, in, operatorSettings)
	if q == nil {
		return code
	}
	defer q.Close()
	var found []broker.Kept
	err := q.Each(ctx, func(k broker.Kept) error {
		if s.holds(k) {
			found = append(found, k)
		}
		return nil
	})
	switch {
	case err != nil && len(found) == 0: // an empty table would look like good news
		return orderly(in, err)
	case *all:
		listEach(in.Stdout, found)
	default:
		listByReason(in.Stdout, found)
	}
	fmt.Fprintf(in.Stdout, "%d messages.\n", len(found))
	return orderly(in, err)
}

func listEach(out io.Writer, found []broker.Kept) {
	table := newTable(out, "SEQUENCE", "STORED", "REASON", "INTEGRATION", "SITE", "BYTES", "REQUEST")
	for _, k := range found {
		table.row(k.Sequence, formatTime(k.Stored), reasonOf(k), k.Integration, k.Site, k.Size, k.RequestID)
	}
	table.flush()
}

func reasonOf(k broker.Kept) string {
	if k.Fault != nil {
		return "? " + k.Fault.Error()
	}
	return string(k.Reason)
}

func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// listByReason sums up.
func listByReason(out io.Writer, found []broker.Kept) {
	type group struct{ reason, integration string }
	type sum struct {
		n           int
		first, last time.Time
	}
	sums := map[group]*sum{}
	var groups []group
	for _, k := range found {
		g := group{reasonOf(k), k.Integration}
		if sums[g] == nil {
			sums[g] = &sum{first: k.Stored}
			groups = append(groups, g)
		}
		sums[g].n++
		sums[g].last = k.Stored
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.reason, b.reason), cmp.Compare(a.integration, b.integration))
	})
	table := newTable(out, "REASON", "INTEGRATION", "MESSAGES", "FIRST SEEN", "LAST SEEN")
	for _, g := range groups {
		s := sums[g]
		table.row(g.reason, g.integration, s.n, formatTime(s.first), formatTime(s.last))
	}
	table.flush()
}

// quarantineShow shows one message, and its body only when asked.
func quarantineShow(ctx context.Context, in Process) int {
	var s selection
	f := flag.NewFlagSet("sine-relay quarantine show", flag.ContinueOnError)
	f.SetOutput(in.Stderr)
	body := f.Bool("body", false, "print the body too, which holds personal data, without its content encoding: on a terminal with its control characters escaped, else byte for byte")
	if s.parse(f, in.Args) != nil {
		return exitUsage
	}
	if len(s.sequences) != 1 {
		complain(f, "which one? Give its sequence number; ls --all shows them")
		return exitUsage
	}
	q, settings, code := openQuarantine(ctx, in, operatorSettings)
	if q == nil {
		return code
	}
	defer q.Close()
	getting, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	k, err := q.Get(getting, s.sequences[0])
	if err != nil {
		return orderly(in, err)
	}
	describe(in.Stdout, k, verdictOf(settings, k))
	if *body {
		printBody(in.Stdout, relay.Content(k.Quarantined, server.Limits(settings)))
	}
	return exitOK
}

func sizeOf(k broker.Kept) string {
	switch {
	case !k.Cut:
		return fmt.Sprint(k.Size)
	case k.Announced > 0:
		return fmt.Sprintf("%d, the beginning of %d", k.Size, k.Announced)
	default:
		return fmt.Sprintf("%d, the beginning of more", k.Size)
	}
}

// printBody prints what Sine sent. A terminal would obey it; a file or another
// program gets every byte as it is.
func printBody(out io.Writer, body []byte) {
	if terminal.Is(out) {
		body = []byte(terminal.PrintableLines(string(body)))
	}
	fmt.Fprintf(out, "\n%s\n", body)
}

func describe(out io.Writer, k broker.Kept, verdict string) {
	table := newTable(out)
	for _, row := range [][2]string{
		{"sequence", fmt.Sprint(k.Sequence)}, {"stored", formatTime(k.Stored)}, {"received", formatTime(k.Received)},
		{"reason", reasonOf(k)}, {"integration", k.Integration}, {"site", k.Site}, {"request", k.RequestID},
		{"x-request-id", k.Trace.XRequestID}, {"traceparent", k.Trace.Traceparent},
		{"event of the URL", string(k.Pinned)}, {"event id", k.EventID}, {"refused on", k.RefusedSubject},
		{"bytes", sizeOf(k)}, {"content encoding", k.Encoding}, {"today", verdict},
	} {
		if row[1] != "" {
			table.row(row[0], row[1])
		}
	}
	table.flush()
}
