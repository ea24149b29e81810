package cli

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/learn"
	"github.com/sine-relay/sine-relay/visit"
)

func newLearn(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "learn", Short: "Propose the configuration of an integration from what Sine has sent.",
		Long: "Reads the bodies of test visits: those of --file, or else what the relay has stored and quarantined of the\n" +
			"integration. Prints where each field is, what its values look like and how sure that is, and what the\n" +
			"integrations file must say, as YAML. Nothing is changed without --write. Values are left out, and keys that\n" +
			"do not read like the name of a field, unless --values is given.\n\n" +
			"With --rejection, it guides through the test visit that settles whether Sine obeys a rejection.",
		Example: "  sine-relay learn --integration lobby\n  sine-relay learn --integration lobby --file check-in.json --file check-out.json --write\n" +
			"  sine-relay learn --integration lobby --rejection",
	}
	l := learning{}
	f := cmd.Flags()
	f.StringVar(&l.integration, "integration", relay.DefaultIntegration, "`name` of the integration")
	f.StringArrayVar(&l.files, "file", nil, "`file` with a body, several times for several; - reads the standard input. No NATS is needed then")
	f.StringVar(&l.capture, "capture", "", "`file` with the log of a relay that has captured the shape of bodies. No NATS is needed then")
	addDuration(f, &l.since, "since", 24*time.Hour, "what the relay has received since then")
	f.BoolVar(&l.values, "values", false, "print values, too: they are personal data")
	f.BoolVar(&l.write, "write", false, "write what is proposed into the integrations file, whose other lines stay as they are")
	f.StringVar(&l.into, "into", "", "write into this `file`, and not into SINE_RELAY_INTEGRATIONS_FILE")
	f.BoolVar(&l.defaults, "defaults", false, "propose it for all integrations, under defaults")
	f.BoolVar(&l.rejection, "rejection", false, "guide through the test visit that settles whether Sine obeys a rejection")
	addDuration(f, &l.wait, "wait", time.Minute, "with --rejection, how long to wait for a pass that is made all the same")
	l.format = addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := l.check(); err != nil {
			return err
		}
		if l.rejection {
			return l.guide(cmd.Context(), in)
		}
		return l.run(cmd.Context(), in)
	}
	return cmd
}

// learning is one run of learn.
type learning struct {
	integration string
	files       []string
	capture     string
	since, wait time.Duration
	values      bool
	write       bool
	into        string
	defaults    bool
	rejection   bool
	format      *string
}

func (l *learning) check() error {
	switch {
	case l.rejection && (len(l.files) > 0 || l.capture != "" || l.values || *l.format == asJSON):
		return usagef("--rejection goes without --file, --capture, --values and --output json")
	case l.into != "" && !l.write:
		return usagef("--into needs --write")
	}
	return nil
}

func (l *learning) run(ctx context.Context, in Process) error {
	settings, of, err := l.settings(in)
	if err != nil {
		return err
	}
	reader, err := relay.NewReader(settings.Integrations, server.Limits(settings))
	if err != nil {
		return err
	}
	bodies, zone, err := l.bodies(ctx, in, settings, of)
	if err != nil {
		return err
	}
	if len(bodies) == 0 && l.isOffline() {
		return fmt.Errorf("the log has no shape of a body of integration %s: see that it is the relay's, in JSON, and that capture was set", l.integration)
	}
	if len(bodies) == 0 {
		return fmt.Errorf("no body of integration %s in the last %s: make a test visit, look further back with --since, or give bodies by --file", l.integration, formatDuration(l.since))
	}
	report := learn.Analyse(bodies, learn.Options{
		Fields: of.Fields, Zone: zone, MaxDepth: settings.JSONDepth, Values: l.values,
		KindOf: func(event string) visit.Kind { return reader.KindOf(l.integration, event) },
	})
	shown, err := newLearned(l.target(settings), l.integration, report)
	if err != nil {
		return err
	}
	if l.write && len(shown.amendment.Settings) > 0 {
		if shown.Written, err = l.amend(in, settings, shown.amendment); err != nil {
			return err
		}
	}
	defer l.tell(in, shown)
	return shown.print(in.Stdout, *l.format)
}

// settings has the integration that is meant. Files are read without NATS.
func (l *learning) settings(in Process) (settings config.Settings, of relay.Integration, err error) {
	if l.isOffline() {
		settings, err = in.settings(config.LoadOffline)
	} else {
		settings, err = integrationSettings(in)
	}
	if err != nil {
		return settings, of, err
	}
	if problems := settings.Invalid[l.integration]; len(problems) > 0 {
		return settings, of, problems
	}
	if _, err := siteOf(settings, l.integration); err != nil {
		return settings, of, err
	}
	i := slices.IndexFunc(settings.Integrations, func(i relay.Integration) bool { return i.Name == l.integration })
	return settings, settings.Integrations[i], nil
}

// isOffline reports whether what is read is in files.
func (l *learning) isOffline() bool { return len(l.files) > 0 || l.capture != "" }

// bodies are those of the files and of the log, or those that NATS has, and the time zone of
// the site.
func (l *learning) bodies(ctx context.Context, in Process, settings config.Settings, of relay.Integration) (all []learn.Body, zone *time.Location, err error) {
	if l.isOffline() {
		all, err = l.given(in, settings)
		return all, of.Zone, err
	}
	all, noted, err := l.received(ctx, in, settings, of)
	with, _ := of.InZoneOf(noted)
	return all, with.Zone, err
}

// given are those of the files and of the log.
func (l *learning) given(in Process, settings config.Settings) (all []learn.Body, err error) {
	if l.capture != "" {
		log, err := os.ReadFile(l.capture)
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
		if all, err = learn.Captured(log, l.integration); err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
	}
	for _, file := range l.files {
		text, err := readBody(in, file, settings.BodyLimit)
		if err != nil {
			return nil, err
		}
		all = append(all, learn.Body{Text: text})
	}
	return all, nil
}

// received are the newest bodies that the relay quarantined and stored, and the time zone
// that it noted with the newest of them.
func (l *learning) received(ctx context.Context, in Process, settings config.Settings, of relay.Integration) (all []learn.Body, noted string, err error) {
	since, p, newest := time.Now().Add(-l.since), newProgress(in.Stderr), time.Time{}
	defer p.clear()
	take := func(b learn.Body, zone string) error {
		if zone != "" && b.Received.After(newest) {
			noted, newest = zone, b.Received
		}
		if all = append(all, b); len(all) == 2*learn.MaxBodies {
			all = slices.Delete(all, 0, learn.MaxBodies) // older than what follows
		}
		p.show("%s read", bodies(len(all)))
		return ctx.Err()
	}
	q, err := admin.OpenQuarantine(ctx, server.AdminConfig(settings))
	if err != nil {
		return nil, "", err
	}
	defer q.Close()
	err = q.Each(ctx, func(k admin.Kept) error {
		if k.Fault != nil || k.Integration != l.integration || k.Received.Before(since) || k.Cut || k.Synthetic || k.Reason == visit.ReasonRefused {
			return nil
		}
		return take(learn.Body{Text: relay.Content(k.Quarantined, server.Limits(settings)), Kind: k.Kind, Received: k.Received}, k.TimeZone)
	})
	if err != nil {
		return nil, "", err
	}
	events, err := admin.OpenEvents(server.AdminConfig(settings))
	if err != nil {
		return nil, "", err
	}
	defer events.Close()
	err = events.Each(ctx, of.Site, since, func(s admin.StoredEvent) error {
		e := s.Event
		if s.Fault != nil || e.Integration != l.integration || e.Corrects != "" || e.Synthetic || len(e.Source) == 0 || e.Received.Before(since) {
			return nil
		}
		return take(learn.Body{Text: e.Source, Kind: e.Kind, Received: e.Received}, e.TimeZone)
	})
	return all, noted, err
}

// target is the entry that is proposed to be changed: the integration of the environment
// has none, and takes the defaults.
func (l *learning) target(settings config.Settings) string {
	for _, e := range settings.Entries {
		if e.Name == l.integration && e.Where == config.Prefix+"KEYS" {
			return ""
		}
	}
	if l.defaults {
		return ""
	}
	return l.integration
}
