// Package sample has the body of a made-up visitor, for commands that try out how a
// check-in request is answered, and says what an integration does not find in it.
package sample

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// Body is a body as Sine sends it, with all fields at places that the relay knows
// without configuration. The date is put in as it is.
func Body(event, date string) string {
	return fmt.Sprintf(`{"event":%q,"date":"%s","data":{"firstName":"Marguerite","lastName":"Oyelaran","company":"Bexley Rigging","passType":"Contractor"}}`, event, date)
}

// CheckInRequest is the body of a check-in request at a time.
func CheckInRequest(at time.Time) []byte {
	return []byte(Body("signin_before", at.UTC().Format(time.RFC3339)))
}

// Trouble says why an integration's deciders would not all be asked about the made-up
// visitor: the integration has other places, or expects
// more, than the body has. It is empty where all would be asked.
func Trouble(s config.Settings, integration string) string {
	reader, err := relay.NewReader(s.Integrations, server.Limits(s))
	if err != nil {
		return "" // the relay itself says so
	}
	now := time.Now()
	read, err := reader.Decode(integration, "", CheckInRequest(now), now, visit.Subjects{Prefix: s.SubjectPrefix})
	switch {
	case err != nil:
		return ""
	case read.Reason != "":
		return fmt.Sprintf("integration %s cannot read it (%s)", integration, read.Reason)
	}
	var missing []string
	for _, unmet := range read.Unmet {
		missing = append(missing, unmet.Missing...)
	}
	if len(missing) == 0 {
		return ""
	}
	slices.Sort(missing)
	return fmt.Sprintf("integration %s expects what it does not find in it: %s", integration, strings.Join(slices.Compact(missing), ", "))
}
