package cli

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
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// sampleRequest is what ask sends unless it is given a body.
const sampleRequest = `{"event":"signin_before","date":%q,"data":{"firstName":"Marguerite","lastName":"Oyelaran","company":"Bexley Rigging","passType":"Contractor"}}`

// ask tries a door without a visitor: it puts a synthetic question to the real
// deciders and shows what the iPad would get.
func ask(ctx context.Context, in Process) int {
	q, code := parseQuestion(in)
	if code != exitOK {
		return code
	}
	body := fmt.Appendf(nil, sampleRequest, time.Now().UTC().Format(time.RFC3339))
	if q.file != "" {
		var err error
		if body, err = os.ReadFile(q.file); err != nil {
			return orderly(in, err)
		}
	}
	settings, code := q.settings(in)
	if code != exitOK {
		return code
	}
	site, err := siteOf(settings, q.integration)
	if err != nil {
		return orderly(in, err)
	}
	opened, err := broker.OpenDoor(ctx, server.BrokerConfig(settings, nil, nil, nil))
	if err != nil {
		return orderly(in, err)
	}
	defer opened.Close()
	r, err := relay.New(relay.Config{
		Integrations: settings.Integrations, Subjects: visit.Subjects{Prefix: settings.SubjectPrefix},
		Asker: opened, Orders: opened, StrictOrders: !settings.OrdersDeciders, Limits: server.Limits(settings),
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		return orderly(in, err)
	}
	trial, err := r.Try(ctx, q.integration, body)
	if err != nil {
		return orderly(in, err)
	}
	showTrial(in.Stdout, trial)
	if trouble := opened.Trouble(); trouble != "" {
		fmt.Fprintln(in.Stderr, "sine-relay: NATS:", terminal.Printable(trouble))
	}
	if err := opened.OrdersFault(site); err != nil {
		fmt.Fprintln(in.Stderr, "sine-relay ask: the standing orders are not known here, and a lockdown or an override may be in force:", terminal.PrintableError(err))
		return exitFailed
	}
	return trialCode(trial)
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
	return "", fmt.Errorf("no integration %s is configured%s", integration, config.DidYouMean(integration, names))
}

// question is what ask was given.
type question struct{ integration, site, decider, file string }

func parseQuestion(in Process) (q question, code int) {
	f := flag.NewFlagSet("sine-relay ask", flag.ContinueOnError)
	f.SetOutput(in.Stderr)
	f.StringVar(&q.integration, "integration", relay.DefaultIntegration, "whose deciders are asked, of those that are configured here")
	f.StringVar(&q.site, "site", "", "a site whose decider is asked, by the relay's defaults; for a machine where no integration is configured")
	f.StringVar(&q.decider, "decider", relay.DefaultDecider, "with --site, which decider is asked")
	f.StringVar(&q.file, "file", "", "a body as Sine sends it; a made-up visitor unless given")
	f.Usage = func() {
		fmt.Fprint(in.Stderr, "Usage: sine-relay ask [flags]\n\n"+
			"Tries a door without a visitor. Ends with 0 when deciders accept, 3 when they reject, 4 when it is\n"+
			"not they who decided: the fallback or a standing order answers. 1 is for what could not be tried,\n"+
			"and where the standing orders cannot be read.\n\n")
		f.PrintDefaults()
	}
	if f.Parse(in.Args) != nil {
		return q, exitUsage
	}
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var wrong string
	switch {
	case f.NArg() > 0:
		wrong = fmt.Sprintf("%q is not a flag", f.Arg(0))
	case q.site != "" && given["integration"]:
		wrong = "say either --integration or --site"
	case q.site == "" && given["decider"]:
		wrong = "--decider needs --site"
	case q.site != "" && !visit.ValidName(q.site):
		wrong = fmt.Sprintf("--site %q must match %s", q.site, visit.NamePattern)
	case !visit.ValidName(q.decider):
		wrong = fmt.Sprintf("--decider %q must match %s", q.decider, visit.NamePattern)
	default:
		return q, exitOK
	}
	fmt.Fprintln(in.Stderr, "sine-relay ask:", wrong)
	return q, exitUsage
}

// settings has the integration that is asked for.
func (q question) settings(in Process) (config.Settings, int) {
	if q.site == "" {
		return integrationSettings(in)
	}
	settings, code := settingsWithNATS(in, config.LoadIntegrations)
	if code != exitOK {
		return settings, code
	}
	if settings.IntegrationsFile != "" {
		fmt.Fprintln(in.Stderr, "sine-relay ask: --site is for a machine without SINE_RELAY_INTEGRATIONS_FILE; say --integration")
		return settings, exitUsage
	}
	only := &settings.Integrations[0]
	only.Site, only.Deciders = q.site, []relay.Decider{{Name: q.decider}}
	return settings, exitOK
}

// trialCode tells a script whether deciders decided, and how.
func trialCode(t relay.Trial) int {
	switch {
	case t.Given.Situation != policy.Decided || t.Given.Fallback:
		return exitUndecided
	case t.Given.Verdict != visit.Accept:
		return exitRejected
	default:
		return exitOK
	}
}

func showTrial(out io.Writer, t relay.Trial) {
	if len(t.Votes) > 0 {
		explainVotes(out, t.Votes)
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "because  %s\n", terminal.Printable(t.Given.Rule))
	if t.Given.Situation != policy.Decided {
		fmt.Fprintf(out, "situation  %s\n", t.Given.Situation)
	}
	fmt.Fprintf(out, "after  %.1f ms\nHTTP  %d\n%s\n", ms(t.Took), t.Status, terminal.PrintableLines(string(t.Body)))
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
