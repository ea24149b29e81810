package desk

import (
	"context"
	"net/http"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/quarantine"
	"github.com/sine-relay/sine-relay/visit"
)

// quarantineData is what the page Not understood shows.
type quarantineData struct {
	Problem string
	Groups  []groupData
	Total   int
	Drift   []driftData
}

type groupData struct {
	quarantine.Group
	What string
	Zone *time.Location
	Now  time.Time
}

type driftData struct {
	Site, Integration string
	Fields            []string
}

var reasonWords = map[visit.Reason]string{
	visit.ReasonNotJSON:         "It is not JSON.",
	visit.ReasonNotUTF8:         "It is in another character encoding than UTF-8, or compressed without a Content-Encoding.",
	visit.ReasonUnknownEncoding: "The relay does not know its Content-Encoding.",
	visit.ReasonBadEncoding:     "It is not encoded as its Content-Encoding says.",
	visit.ReasonTooDeep:         "It is nested too deeply.",
	visit.ReasonUnknownEvent:    "Neither the address nor the body says which of Sine's events it is.",
	visit.ReasonIncomplete:      "Its end was not received.",
	visit.ReasonTooLarge:        "It is larger than the relay accepts.",
	visit.ReasonRefused:         "The stream refused the event again and again.",
}

func (d *Desk) showQuarantine(w http.ResponseWriter, r *http.Request) {
	u := access.UserOf(r.Context())
	b := d.base(r, "Not understood", "/quarantine")
	groups := quarantine.Groups{EveryKey: func(site string) bool { return u.May(access.Operator, site) }}
	data, status := quarantineData{}, http.StatusOK
	err := d.heavily(r.Context(), func(ctx context.Context) error {
		return d.broker.Quarantined(ctx, func(sequence uint64, _ time.Time, q visit.Quarantined) error {
			if u.May(access.Viewer, q.Site) {
				groups.Add(sequence, &q)
			}
			return ctx.Err()
		})
	})
	if err != nil {
		data.Problem, status = doors.Why(err), http.StatusServiceUnavailable
	}
	for _, g := range groups.List() {
		data.Groups = append(data.Groups, groupData{g, reasonWords[g.Reason], d.zoneOf(g.Site), d.now()})
	}
	data.Total = groups.Total
	for _, door := range d.model.View(func(site string) bool { return u.May(access.Viewer, site) }).Doors {
		if len(door.Drifting) > 0 {
			data.Drift = append(data.Drift, driftData{door.Site, door.Integration, door.Drifting})
		}
	}
	b.Data = data
	d.show(w, status, "quarantine", b)
}
