package dev

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// recordPrinter prints each record of a decision on its way to the stream.
type recordPrinter struct {
	relay.Publisher
	out io.Writer
}

func (p recordPrinter) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	var r visit.Record
	if m.Root == visit.RootDecision && json.Unmarshal(m.Data, &r) == nil {
		printRecord(p.out, r)
	}
	return p.Publisher.Publish(ctx, m)
}

// printRecord says in a line how a check-in request was answered, and by whom.
func printRecord(out io.Writer, r visit.Record) {
	verdict := map[visit.Verdict]string{visit.Accept: "accepted", visit.Reject: "rejected"}[r.Verdict]
	fmt.Fprintf(out, "decision  %s  %s  site %s  reference %s  %s  after %.1f ms  (request %s)\n",
		r.Received.Format(time.RFC3339), verdict, terminal.Printable(r.Site), terminal.Printable(r.Reference),
		terminal.Printable(settledBy(r)), r.TookMs, terminal.Printable(r.RequestID))
}

// settledBy names the deciders that decided, with their versions, or why none did.
func settledBy(r visit.Record) string {
	var by []string
	for _, v := range r.Votes {
		if v.Situation == "decided" && !v.Shadow {
			by = append(by, strings.TrimSpace(v.Decider+" "+v.Version))
		}
	}
	switch {
	case r.Order != nil:
		return fmt.Sprintf("by the %s", r.Order.Kind)
	case r.Fallback || len(by) == 0:
		return "because " + r.Rule
	default:
		return "by decider " + strings.Join(by, ", ")
	}
}

// printEvent shows an event to the developer who sent it: the one place where
// names are printed.
func printEvent(out io.Writer, e visit.Event) {
	who := []string{strings.TrimSpace(e.Person.FirstName + " " + e.Person.LastName), e.Company}
	who = slices.DeleteFunc(who, func(part string) bool { return part == "" })
	fmt.Fprintf(out, "event     %s  %s  site %s  %s  (id %s)\n",
		e.Time.Format(time.RFC3339), terminal.Printable(string(e.Kind)), terminal.Printable(e.Site),
		terminal.Printable(cmp.Or(strings.Join(who, ", "), "nobody is named")), terminal.Printable(e.ID))
}
