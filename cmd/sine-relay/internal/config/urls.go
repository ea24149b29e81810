package config

import (
	"strings"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// URLRow is what an operator enters into Sine for one integration.
type URLRow struct {
	Integration, DisplayName, Site string
	// URL is pinned to an event where Sine is said to send no other.
	URL string
	// KeyNames are what people call the keys of which one is entered.
	KeyNames []string
}

// URLTable lists what to enter into Sine, in the order of the integrations. Base
// is the address at which Sine reaches the relay, such as
// https://relay.example.com.
func (s Settings) URLTable(base string) []URLRow {
	rows := make([]URLRow, len(s.Entries))
	for i, e := range s.Entries {
		var only visit.Kind
		if len(e.Events) == 1 {
			only = e.Events[0]
		}
		rows[i] = URLRow{e.Name, e.DisplayName, e.Site, strings.TrimRight(base, "/") + relay.Path(e.Name, only), e.KeyNames}
	}
	return rows
}
