package config

import (
	"strings"

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

// pinnedPaths is how a URL names its event.
var pinnedPaths = map[visit.Kind]string{
	visit.CheckInRequest: "/check-in-request",
	visit.CheckedIn:      "/check-in-success",
	visit.CheckedOut:     "/check-out-success",
}

// URLTable lists what to enter into Sine, in the order of the integrations. Base
// is the address at which Sine reaches the relay, such as
// https://relay.example.com.
func (s Settings) URLTable(base string) []URLRow {
	rows := make([]URLRow, len(s.Entries))
	for i, e := range s.Entries {
		url := strings.TrimRight(base, "/") + "/sine/" + e.Name
		if len(e.Events) == 1 {
			url += pinnedPaths[e.Events[0]]
		}
		rows[i] = URLRow{e.Name, e.DisplayName, e.Site, url, e.KeyNames}
	}
	return rows
}
