package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// deciderList is what `deciders --output json` prints.
type deciderList struct {
	Deciders []listedDecider `json:"deciders"`
	// Note says why the search may have missed somebody.
	Note string `json:"note,omitempty"`
	// configured is unset where it is not known which deciders there should be.
	configured bool
}

// unseenDeciders says who may decide though the search did not find them.
const unseenDeciders = "Not seen are programs that are not a NATS micro service, and deciders that share a connection\n" +
	"whose NATS user may reply only once (allow_responses: true). Try them by sine-relay ask."

// listedDecider is a decider that an integration asks, with the programs that answer.
type listedDecider struct {
	Integration string            `json:"integration,omitempty"`
	Site        string            `json:"site"`
	Decider     string            `json:"decider"`
	Instances   []deciderInstance `json:"instances"`
}

type deciderInstance struct {
	ID         string    `json:"id"`
	Version    string    `json:"version"`
	Started    time.Time `json:"started"`
	Answered   int64     `json:"answered"`
	Failed     int64     `json:"failed"`
	Expired    int64     `json:"expired"`
	Late       int64     `json:"late"`
	Stalls     int64     `json:"stalls"`
	AverageMs  float64   `json:"averageMs"`
	DistanceMs float64   `json:"distanceMs"`
}

func newDeciders(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "deciders", Short: "List the deciders of each integration and the programs that answer for them.",
		Long: "It ends with 1 where no program answers for a decider. Only NATS micro services are found, and of\n" +
			"those that share a connection none whose NATS user may reply only once; try others by sine-relay ask.\n" +
			"Where no integration is configured here, everybody who answers is listed.",
		Example: "  sine-relay deciders --output json",
	}
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return listDeciders(cmd.Context(), in, *format) }
	return cmd
}

func listDeciders(ctx context.Context, in Process, format string) error {
	settings, err := operatorSettings(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	found, discovery, err := admin.FindDeciders(ctx, server.AdminConfig(settings))
	if err != nil {
		return err
	}
	subjects := visit.Subjects{Prefix: settings.SubjectPrefix}
	asked := askedBy(settings.Integrations, subjects)
	if len(settings.Integrations) == 0 {
		asked = answered(found, subjects)
	}
	list := deciderList{Deciders: []listedDecider{}, Note: discovery.String(), configured: len(settings.Integrations) > 0}
	for _, a := range asked {
		list.Deciders = append(list.Deciders, listedDecider{a.integration, a.site, a.decider, instancesOf(found, a.subject)})
	}
	return list.print(in.Stdout, format)
}

// print returns an error where somebody is missing.
func (l deciderList) print(out io.Writer, format string) (err error) {
	if format == asJSON {
		err = printJSON(out, l)
	} else {
		l.show(out)
	}
	if err == nil && (len(l.Deciders) == 0 || len(l.missing()) > 0) {
		err = errReported
	}
	return err
}

func instancesOf(found []visit.Decider, subject string) []deciderInstance {
	all := []deciderInstance{}
	for _, d := range server.AnsweringFor(found, subject) {
		all = append(all, deciderInstance{
			ID: d.ID, Version: d.Version, Started: d.Started, Answered: d.Decided, Failed: d.Failed + d.Overloaded,
			Expired: d.Expired, Late: d.Late, Stalls: d.Stalls, AverageMs: d.AverageMs, DistanceMs: milliseconds(d.Distance),
		})
	}
	return all
}

// missing are the deciders for which no program answers.
func (l deciderList) missing() (names []string) {
	for _, d := range l.Deciders {
		if len(d.Instances) == 0 {
			names = append(names, d.Integration+"/"+d.Decider)
		}
	}
	return names
}

func (l deciderList) show(out io.Writer) {
	table := newTable(out, "INTEGRATION", "SITE", "DECIDER", "INSTANCE", "VERSION", "ANSWERED", "FAILED", "EXPIRED", "LATE", "STALLS", "AVERAGE", "DISTANCE", "UP SINCE")
	for _, d := range l.Deciders {
		integration := d.Integration
		if integration == "" {
			integration = "-"
		}
		if len(d.Instances) == 0 {
			table.row(integration, d.Site, d.Decider, "nobody")
		}
		for _, i := range d.Instances {
			table.row(integration, d.Site, d.Decider, i.ID, i.Version, i.Answered, i.Failed, i.Expired, i.Late, i.Stalls,
				fmt.Sprintf("%.1f ms", i.AverageMs), fmt.Sprintf("%.1f ms", i.DistanceMs), formatTime(i.Started))
		}
	}
	if len(l.Deciders) > 0 {
		table.flush()
		fmt.Fprintln(out)
	}
	if l.Note != "" {
		fmt.Fprintf(out, "In the search, %s.\n", l.Note)
	}
	missing := l.missing()
	switch {
	case len(missing) > 0:
		fmt.Fprintf(out, "Nobody answers for %s.\n%s\n", strings.Join(missing, ", "), unseenDeciders)
	case len(l.Deciders) == 0:
		fmt.Fprintln(out, "Nobody answers.\n"+unseenDeciders)
	case !l.configured:
		fmt.Fprintln(out, "No integration is configured here, so that nobody is missed. Set SINE_RELAY_INTEGRATIONS_FILE as for the relay to see for which nobody answers.")
	}
}

// askedDecider is a decider of an integration.
type askedDecider struct{ integration, site, decider, subject string }

func askedBy(integrations []relay.Integration, s visit.Subjects) (all []askedDecider) {
	for _, i := range integrations {
		for _, name := range i.DeciderNames() {
			all = append(all, askedDecider{i.Name, i.Site, name, s.Ask(i.Site, name)})
		}
	}
	return all
}

// answered are the deciders for which somebody answers, in the order of their subjects.
func answered(found []visit.Decider, s visit.Subjects) (all []askedDecider) {
	var answered []string
	for _, d := range found {
		answered = append(answered, d.Subjects...)
	}
	slices.Sort(answered)
	for _, subject := range slices.Compact(answered) {
		name, ours := strings.CutPrefix(subject, strings.TrimSuffix(s.All(visit.RootAsk), ">"))
		site, decider, both := strings.Cut(name, ".")
		if ours && both {
			all = append(all, askedDecider{"", site, decider, subject})
		}
	}
	return all
}
