package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// natsTimeout is how long one answer of NATS may take for somebody at a terminal.
const natsTimeout = 10 * time.Second

func newQuarantine(in Process) *cobra.Command {
	return newGroup("quarantine", "List, show and replay webhooks that could not be understood.",
		"  sine-relay quarantine ls --reason not_json", newQuarantineLs(in), newQuarantineShow(in), newQuarantineReplay(in))
}

// selection is which messages of the quarantine are meant.
type selection struct {
	reason, integration string
	sequences           []uint64
}

func (s *selection) flags(cmd *cobra.Command) {
	var reasons []string
	for _, r := range visit.Reasons {
		reasons = append(reasons, string(r))
	}
	addChoice(cmd, &s.reason, "reason", "", "reason", reasons, fmt.Sprintf("only messages that were quarantined for this reason, one of %v", visit.Reasons))
	cmd.Flags().StringVar(&s.integration, "integration", "", "only messages that came to the integration of this `name`")
}

// parse reads sequence numbers.
func (s *selection) parse(args []string) error {
	for _, arg := range args {
		sequence, err := strconv.ParseUint(arg, 10, 64)
		if err != nil {
			return usagef("%q is not the sequence number of a message; sine-relay quarantine ls --all shows them", arg)
		}
		s.sequences = append(s.sequences, sequence)
	}
	return nil
}

func (s *selection) holds(k admin.Kept) bool {
	return (s.reason == "" || string(k.Reason) == s.reason) &&
		(s.integration == "" || k.Integration == s.integration) &&
		(len(s.sequences) == 0 || slices.Contains(s.sequences, k.Sequence))
}

// openQuarantine connects as the settings say.
func openQuarantine(ctx context.Context, in Process, read func(Process) (config.Settings, error)) (*admin.Quarantine, config.Settings, error) {
	settings, err := read(in)
	if err != nil {
		return nil, settings, err
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	q, err := admin.OpenQuarantine(ctx, server.AdminConfig(settings))
	return q, settings, err
}

// quarantinedGroup is what `quarantine ls --output json` prints of a reason and an
// integration.
type quarantinedGroup struct {
	Reason      string    `json:"reason,omitempty"`
	Error       string    `json:"error,omitempty"` // why the reason is not known
	Integration string    `json:"integration,omitempty"`
	Messages    int       `json:"messages"`
	First       time.Time `json:"first"`
	Last        time.Time `json:"last"`
}

// quarantinedMessage is what `quarantine ls --all` and `quarantine show` print as JSON.
// Show fills the second part, too.
type quarantinedMessage struct {
	Sequence    uint64    `json:"sequence"`
	Stored      time.Time `json:"stored"`
	Reason      string    `json:"reason,omitempty"`
	Error       string    `json:"error,omitempty"` // why the rest cannot be read
	Integration string    `json:"integration,omitempty"`
	Site        string    `json:"site,omitempty"`
	RequestID   string    `json:"requestId,omitempty"`
	Bytes       int       `json:"bytes"`
	Cut         bool      `json:"cut,omitempty"` // its end is missing

	Received       time.Time   `json:"received,omitzero"`
	Announced      int64       `json:"announcedBytes,omitempty"`
	Trace          visit.Trace `json:"trace,omitzero"`
	URLKind        visit.Kind  `json:"urlKind,omitempty"`
	EventID        string      `json:"eventId,omitempty"`
	RefusedSubject string      `json:"refusedSubject,omitempty"`
	Encoding       string      `json:"contentEncoding,omitempty"`
	// Replay is what would become of it with the configuration that is here.
	Replay string `json:"replay,omitempty"`
	Body   []byte `json:"body,omitempty"` // as base64, with --body
}

func messageOf(k admin.Kept) quarantinedMessage {
	m := quarantinedMessage{
		Sequence: k.Sequence, Stored: k.Stored, Reason: string(k.Reason), Integration: k.Integration, Site: k.Site,
		RequestID: k.RequestID, Bytes: k.Size, Cut: k.Cut,
	}
	if k.Fault != nil {
		m.Reason, m.Error = "", k.Fault.Error()
	}
	return m
}

func newQuarantineLs(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ls", Short: "List what is in the quarantine, by reason and integration.",
		Example: "  sine-relay quarantine ls --all --integration lobby",
	}
	var s selection
	s.flags(cmd)
	all := cmd.Flags().Bool("all", false, "list every message")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return listQuarantine(cmd.Context(), in, *format, s, *all) }
	return cmd
}

func listQuarantine(ctx context.Context, in Process, format string, s selection, all bool) error {
	q, _, err := openQuarantine(ctx, in, operatorSettings)
	if err != nil {
		return err
	}
	defer q.Close()
	found := []admin.Kept{}
	err = q.Each(ctx, func(k admin.Kept) error {
		if s.holds(k) {
			found = append(found, k)
		}
		return nil
	})
	if err != nil && len(found) == 0 { // an empty table would look like good news
		return err
	}
	return errors.Join(showQuarantine(in.Stdout, format, all, found), err)
}

func showQuarantine(out io.Writer, format string, all bool, found []admin.Kept) error {
	switch {
	case format == asJSON && all:
		list := struct {
			Messages []quarantinedMessage `json:"messages"`
		}{[]quarantinedMessage{}}
		for _, k := range found {
			list.Messages = append(list.Messages, messageOf(k))
		}
		return printJSON(out, list)
	case format == asJSON:
		return printJSON(out, struct {
			Groups []quarantinedGroup `json:"groups"`
		}{grouped(found)})
	case len(found) > 0 && all:
		showEach(out, found)
	case len(found) > 0:
		showGroups(out, grouped(found))
	}
	fmt.Fprintf(out, "%s in the quarantine.\n", plural(len(found), "message"))
	return nil
}

func showEach(out io.Writer, found []admin.Kept) {
	table := newTable(out, "SEQUENCE", "STORED", "REASON", "INTEGRATION", "SITE", "SIZE", "REQUEST")
	for _, k := range found {
		table.row(k.Sequence, formatTime(k.Stored), reasonOf(k), k.Integration, k.Site, formatBytes(k.Size), k.RequestID)
	}
	table.flush()
}

func reasonOf(k admin.Kept) string {
	m := messageOf(k)
	return reasonWords(m.Reason, m.Error)
}

func reasonWords(reason, err string) string {
	if err != "" {
		return "unknown: " + err
	}
	return reason
}

// grouped sums up by reason and integration.
func grouped(found []admin.Kept) []quarantinedGroup {
	groups := []quarantinedGroup{}
	for _, k := range found {
		m := messageOf(k)
		i := slices.IndexFunc(groups, func(g quarantinedGroup) bool {
			return g.Reason == m.Reason && g.Error == m.Error && g.Integration == m.Integration
		})
		if i < 0 {
			i = len(groups)
			groups = append(groups, quarantinedGroup{Reason: m.Reason, Error: m.Error, Integration: m.Integration, First: k.Stored})
		}
		groups[i].Messages++
		groups[i].Last = k.Stored
	}
	slices.SortFunc(groups, func(a, b quarantinedGroup) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Error, b.Error), cmp.Compare(a.Integration, b.Integration))
	})
	return groups
}

func showGroups(out io.Writer, groups []quarantinedGroup) {
	table := newTable(out, "REASON", "INTEGRATION", "MESSAGES", "FIRST STORED", "LAST STORED")
	for _, g := range groups {
		table.row(reasonWords(g.Reason, g.Error), g.Integration, g.Messages, formatTime(g.First), formatTime(g.Last))
	}
	table.flush()
}

func newQuarantineShow(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "show <sequence>", Short: "Show one message, and its body where that is asked for.",
		Long:    "sine-relay quarantine ls --all shows the sequence numbers.",
		Example: "  sine-relay quarantine show 17 --body > body.json",
	}
	body := cmd.Flags().Bool("body", false, "print the body, too, which holds personal data: without its content encoding; on a terminal with its control characters escaped, else byte for byte, in JSON as base64")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var s selection
		if err := s.parse(args); err != nil {
			return err
		}
		return showQuarantined(cmd.Context(), in, *format, s.sequences[0], *body)
	}
	return cmd
}

func showQuarantined(ctx context.Context, in Process, format string, sequence uint64, body bool) error {
	q, settings, err := openQuarantine(ctx, in, operatorSettings)
	if err != nil {
		return err
	}
	defer q.Close()
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	k, err := q.Get(ctx, sequence)
	if err != nil {
		return err
	}
	var content []byte
	if body {
		content = relay.Content(k.Quarantined, server.Limits(settings))
	}
	return showMessage(in.Stdout, format, k, replayOf(settings, k), content)
}

// showMessage prints a message, with its body unless that is nil.
func showMessage(out io.Writer, format string, k admin.Kept, replay string, body []byte) error {
	m := messageOf(k)
	m.Received, m.Announced, m.Trace, m.URLKind = k.Received, k.ContentLength, k.Trace, k.Kind
	m.EventID, m.RefusedSubject, m.Encoding, m.Replay = k.EventID, k.RefusedSubject, k.ContentEncoding, replay
	m.Body = body
	if format == asJSON {
		return printJSON(out, m)
	}
	describe(out, m, reasonOf(k))
	if body != nil {
		printBody(out, body)
	}
	return nil
}

func (m quarantinedMessage) size() string {
	switch size := formatBytes(m.Bytes); {
	case !m.Cut:
		return size
	case m.Announced > 0:
		return fmt.Sprintf("%s, the beginning of %s", size, formatBytes(int(m.Announced)))
	default:
		return size + ", the beginning of more"
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

func describe(out io.Writer, m quarantinedMessage, reason string) {
	table := newTable(out)
	for _, row := range [][2]string{
		{"sequence", fmt.Sprint(m.Sequence)}, {"stored", formatTime(m.Stored)}, {"received", formatTime(m.Received)},
		{"reason", reason}, {"integration", m.Integration}, {"site", m.Site}, {"request", m.RequestID},
		{"x-request-id", m.Trace.XRequestID}, {"traceparent", m.Trace.Traceparent},
		{"kind of the URL", string(m.URLKind)}, {"event id", m.EventID}, {"refused on", m.RefusedSubject},
		{"size", m.size()}, {"content encoding", m.Encoding}, {"replay", m.Replay},
	} {
		if row[1] != "" {
			table.row(row[0], row[1])
		}
	}
	table.flush()
}
