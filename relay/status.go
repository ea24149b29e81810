package relay

import (
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Statuses are what a relay says of its integrations, in the order of their names.
func (r *Relay) Statuses() []visit.RelayIntegration {
	integrations := r.Integrations()
	slices.SortFunc(integrations, func(a, b *Integration) int { return strings.Compare(a.Name, b.Name) })
	all := make([]visit.RelayIntegration, len(integrations))
	for i, in := range integrations {
		all[i] = in.status()
	}
	return all
}

func (in *Integration) status() visit.RelayIntegration {
	s := visit.RelayIntegration{
		Name: in.Name, DisplayName: visit.CleanText(in.DisplayName), Site: in.Site, ExternalID: in.ExternalID,
		Deciders: in.DeciderNames(), Test: in.Test, Invalid: in.Invalid, NotConfirmed: in.NotConfirmed,
	}
	if in.Zone != nil {
		s.TimeZone = in.Zone.String()
	}
	if ms := in.lastReceived.Load(); ms != 0 {
		s.LastReceived = time.UnixMilli(ms).UTC()
	}
	for _, d := range in.drift.Drifts() {
		if field := string(d.Field); !slices.Contains(s.Drifting, field) {
			s.Drifting = append(s.Drifting, field)
		}
	}
	return s
}
