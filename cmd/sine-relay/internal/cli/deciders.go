package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// listDeciders shows who answers for which integration, and who is missing. Where no
// integration is configured, it shows everybody who answers.
func listDeciders(ctx context.Context, in Process) int {
	if !noArguments("deciders", in) {
		return exitUsage
	}
	settings, code := operatorSettings(in)
	if code != exitOK {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	found, discovery, err := broker.FindDeciders(ctx, server.BrokerConfig(settings, nil, nil, nil))
	if err != nil {
		return orderly(in, err)
	}
	subjects := visit.Subjects{Prefix: settings.SubjectPrefix}
	asked := askedBy(settings.Integrations, subjects)
	if len(settings.Integrations) == 0 {
		asked = answered(found, subjects)
	}
	table := newTable(in.Stdout, "INTEGRATION", "SITE", "DECIDER", "INSTANCE", "VERSION", "ANSWERED", "FAILED", "EXPIRED", "LATE", "STALLS", "AVERAGE", "DISTANCE", "UP SINCE")
	var missing []string
	for _, a := range asked {
		answering := server.AnsweringFor(found, a.subject)
		if len(answering) == 0 {
			missing = append(missing, a.integration+"/"+a.decider)
			table.row(a.integration, a.site, a.decider, "nobody")
		}
		for _, d := range answering {
			table.row(a.integration, a.site, a.decider, d.ID, d.Version,
				d.Answered, d.Failed+d.Overloaded, d.Expired, d.Late, d.Stalls, d.Average.Round(time.Microsecond*100), d.Distance.Round(time.Microsecond*100), formatTime(d.Started))
		}
	}
	table.flush()
	if said := discovery.String(); said != "" {
		fmt.Fprintf(in.Stdout, "\nIn the search, %s.\n", said)
	}
	switch {
	case len(missing) > 0:
		fmt.Fprintf(in.Stdout, "\nNobody answers for %s (programs that are not a NATS micro service are not seen).\n", strings.Join(missing, ", "))
		return exitFailed
	case len(asked) == 0:
		fmt.Fprintln(in.Stdout, "\nNobody answers (programs that are not a NATS micro service are not seen).")
		return exitFailed
	case len(settings.Integrations) == 0:
		fmt.Fprintln(in.Stdout, "\nNo integration is configured here, so that nobody is missed. Set SINE_RELAY_INTEGRATIONS_FILE as for the relay to see for which nobody answers.")
	}
	return exitOK
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

// answered are those whose questions somebody answers, in the order of their subjects.
func answered(found []broker.Decider, s visit.Subjects) (all []askedDecider) {
	var answered []string
	for _, d := range found {
		answered = append(answered, d.Subjects...)
	}
	slices.Sort(answered)
	for _, subject := range slices.Compact(answered) {
		name, ours := strings.CutPrefix(subject, strings.TrimSuffix(s.All(visit.RootAsk), ">"))
		site, decider, both := strings.Cut(name, ".")
		if ours && both {
			all = append(all, askedDecider{"-", site, decider, subject})
		}
	}
	return all
}
