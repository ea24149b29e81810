package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// warn notes what is allowed and probably not meant.
func (s *Settings) warn() {
	s.warnOfRepeatedFacts()
	s.warnOfUnconfirmedRejections()
}

// warnOfRepeatedFacts: two integrations of a site that both send a fact make two
// events of it, since Sine tells nothing by which they could be known as one.
func (s *Settings) warnOfRepeatedFacts() {
	for _, kind := range []visit.Kind{visit.CheckedIn, visit.CheckedOut} {
		bySite := map[string][]string{}
		for _, e := range s.Entries {
			if len(e.Events) == 0 || slices.Contains(e.Events, kind) {
				bySite[e.Site] = append(bySite[e.Site], e.Name)
			}
		}
		for _, site := range sortedKeys(bySite) {
			if names := bySite[site]; len(names) > 1 {
				s.Warnings = append(s.Warnings, fmt.Sprintf(
					"site %s: the integrations %s may each send %s, which would be stored once for each; say in \"events\" which of them does",
					site, strings.Join(names, ", "), kind))
			}
		}
	}
}

func (s *Settings) warnOfUnconfirmedRejections() {
	var names []string
	for _, e := range s.Entries {
		if e.RejectBy == relay.SayCode && !e.Confirmed {
			names = append(names, e.Name)
		}
	}
	if len(names) > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf(
			"no test visit has confirmed that Sine obeys a rejection said by code at %s: make one, then set rejectionConfirmed: true, or set rejectBy: status until then",
			strings.Join(names, ", ")))
	}
}
