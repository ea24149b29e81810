package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/sample"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Results of ask.
const (
	resultAccepted = "accepted"
	resultRejected = "rejected"
	// resultUndecided is where deciders did not decide: the fallback or a standing
	// order answers.
	resultUndecided = "undecided"
)

// tryOut is what `ask --output json` prints.
type tryOut struct {
	Result    string       `json:"result"`
	Rule      string       `json:"rule"`
	Situation string       `json:"situation"`
	TookMs    float64      `json:"tookMs"`
	Votes     []visit.Vote `json:"votes"`
	// Status and Body are the response that Sine would get.
	Status int             `json:"status"`
	Body   json.RawMessage `json:"body"`
	// Note says why the made-up visitor shows nothing of the deciders.
	Note string `json:"note,omitempty"`
	// Orders says why the standing orders are not known.
	Orders string `json:"ordersError,omitempty"`
}

// checkIn is what ask was given.
type checkIn struct{ integration, site, decider, file string }

func newAsk(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ask", Short: "Try how a check-in request would be answered, without a visitor.",
		Long: "A synthetic check-in request goes to the real deciders. The command prints what the iPad would show,\n" +
			"and ends with 0 where deciders accept. It ends with 1 where they reject, where a fallback or a standing\n" +
			"order answers in their place, and where the standing orders cannot be read; the output says which.\n" +
			"Without --file the body is that of a made-up visitor, at the places that a relay knows without\n" +
			"configuration. An integration that has others or expects more needs a body that Sine sent.",
		Example: "  sine-relay ask --site hq --decider watchlist\n  sine-relay ask --integration lobby --file request.json",
	}
	var c checkIn
	f := cmd.Flags()
	f.StringVar(&c.integration, "integration", relay.DefaultIntegration, "`name` of the integration whose deciders are asked, of those that are configured here")
	f.StringVar(&c.site, "site", "", "`site` whose decider is asked, by the relay's defaults; for a machine where no integration is configured")
	f.StringVar(&c.decider, "decider", relay.DefaultDecider, "with --site, `name` of the decider that is asked")
	f.StringVar(&c.file, "file", "", "`file` with a body as Sine sends it; without it, that of a made-up visitor")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case c.site != "" && f.Changed("integration"):
			return usagef("either --integration or --site is needed, and not both")
		case c.site == "" && f.Changed("decider"):
			return usagef("--decider needs --site")
		case c.site != "" && !visit.ValidName(c.site):
			return usagef("--site %q must match %s", c.site, visit.NamePattern)
		case !visit.ValidName(c.decider):
			return usagef("--decider %q must match %s", c.decider, visit.NamePattern)
		}
		return c.run(cmd.Context(), in, *format)
	}
	return cmd
}

func (c checkIn) run(ctx context.Context, in Process, format string) error {
	body := sample.CheckInRequest(time.Now())
	if c.file != "" {
		var err error
		if body, err = os.ReadFile(c.file); err != nil {
			return err
		}
	}
	settings, err := c.settings(in)
	if err != nil {
		return err
	}
	site, err := siteOf(settings, c.integration)
	if err != nil {
		return err
	}
	note := ""
	if trouble := sample.Trouble(settings, c.integration); c.file == "" && trouble != "" {
		note = fmt.Sprintf("the body was made up, and %s; give a body that Sine sent by --file", trouble)
	}
	opened, err := broker.OpenAsker(ctx, server.BrokerConfig(settings, nil, nil, nil))
	if err != nil {
		return err
	}
	defer opened.Close()
	r, err := relay.New(relay.Config{
		Integrations: settings.Integrations, Subjects: visit.Subjects{Prefix: settings.SubjectPrefix},
		Asker: opened, Orders: opened, StrictOrders: !settings.OrdersDeciders, Limits: server.Limits(settings),
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return err
	}
	run, err := r.DryRun(ctx, c.integration, body)
	if err != nil {
		return withNote(err, note)
	}
	return printDryRun(in, format, run, note, opened.Trouble(), opened.OrdersFault(site))
}

func withNote(err error, note string) error {
	if note == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, note)
}

// printDryRun prints how the check-in request would have been answered. An error says that
// it would not have been accepted by deciders, or that this is not certain.
func printDryRun(in Process, format string, t relay.DryRun, note, trouble string, orders error) error {
	tried := tryOut{
		Result: resultOf(t), Rule: t.Decision.Rule, Situation: string(t.Decision.Situation), TookMs: milliseconds(t.Took),
		Votes: append([]visit.Vote{}, t.Votes...), Status: t.Status, Body: t.Body, Note: note,
	}
	if orders != nil {
		tried.Orders = orders.Error()
	}
	if format == asJSON {
		if err := printJSON(in.Stdout, tried); err != nil {
			return err
		}
	} else {
		tried.show(in.Stdout)
	}
	if trouble != "" {
		fmt.Fprintln(in.Stderr, "sine-relay ask: NATS:", terminal.Printable(trouble))
	}
	if orders != nil {
		return fmt.Errorf("the standing orders are not known here, and a lockdown or an override may be in force: %w", orders)
	}
	if tried.Result != resultAccepted {
		return errReported
	}
	return nil
}

// siteOf fails for an integration that is not configured.
func siteOf(s config.Settings, integration string) (string, error) {
	var names []string
	for _, i := range s.Integrations {
		if i.Name == integration {
			return i.Site, nil
		}
		names = append(names, i.Name)
	}
	if s.IntegrationsFile == "" {
		return "", fmt.Errorf("integration %s is not configured here: without SINE_RELAY_INTEGRATIONS_FILE there is only %s", integration, strings.Join(names, ", "))
	}
	return "", fmt.Errorf("integration %s is not configured%s", integration, config.DidYouMean(integration, names))
}

// settings has the integration that is asked for.
func (c checkIn) settings(in Process) (config.Settings, error) {
	if c.site == "" {
		return integrationSettings(in)
	}
	settings, err := settingsWithNATS(in, config.LoadIntegrations)
	switch {
	case err != nil:
		return settings, err
	case settings.IntegrationsFile != "":
		return settings, usagef("--site is for a machine without SINE_RELAY_INTEGRATIONS_FILE; use --integration")
	}
	only := &settings.Integrations[0]
	only.Site, only.Deciders = c.site, []relay.Decider{{Name: c.decider}}
	return settings, nil
}

func resultOf(t relay.DryRun) string {
	switch {
	case t.Decision.Situation != policy.Decided || t.Decision.Fallback:
		return resultUndecided
	case t.Decision.Verdict != visit.Accept:
		return resultRejected
	default:
		return resultAccepted
	}
}

// instead says what answers where deciders do not decide.
func (t tryOut) instead() string {
	switch {
	case t.Result != resultUndecided:
		return ""
	case t.Situation == string(visit.OrderLockdown), t.Situation == string(visit.OrderOverride):
		return ": the standing order answers"
	default:
		return ": the fallback answers"
	}
}

func (t tryOut) show(out io.Writer) {
	if len(t.Votes) > 0 {
		showVotes(out, t.Votes)
		fmt.Fprintln(out)
	}
	table := newTable(out)
	table.row("result", t.Result+t.instead())
	table.row("reason", t.Rule)
	if t.Situation != string(policy.Decided) {
		table.row("situation", t.Situation)
	}
	table.row("took", fmt.Sprintf("%.1f ms", t.TookMs))
	table.row("response", fmt.Sprintf("HTTP %d", t.Status))
	table.flush()
	fmt.Fprintln(out, terminal.PrintableLines(string(t.Body)))
	if t.Note != "" {
		fmt.Fprintf(out, "\nNote: %s.\n", t.Note)
	}
}
