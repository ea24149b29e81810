package desk

import (
	"html/template"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/plot"
	"github.com/sine-relay/sine-relay/desk/stream"
	"github.com/sine-relay/sine-relay/visit"
)

// doorsData is what the page Doors shows.
type doorsData struct {
	Doors []doorData
	// Sick counts the doors that need attention. Of all doors visitors can get in at
	// Open, get what a fallback says at ByFallback, and cannot get in at Closed; of
	// Unknown it is not known.
	Sick, Open, ByFallback, Unknown, Closed int

	Omitted bool
	Relays  []doors.Relay
	NATS    bool // it can be reached
	Now     time.Time
	Zone    *time.Location
}

type doorData struct {
	doors.Door
	Now                 time.Time
	SayZone             bool // it differs from that of other doors
	TookPlot, VisitPlot template.HTML
}

func (d *Desk) showDoors(w http.ResponseWriter, r *http.Request) {
	b := d.base(r, "Doors", "/")
	b.Events, b.Refresh = "/events?of=doors", 10
	b.Data = d.doorsOf(access.UserOf(r.Context()))
	d.show(w, http.StatusOK, "doors", b)
}

func (d *Desk) doorsOf(u access.User) doorsData {
	v := d.model.View(func(site string) bool { return u.May(access.Viewer, site) })
	data := doorsData{
		Omitted: v.Omitted, Relays: v.Relays, NATS: !slices.ContainsFunc(v.Missing, func(g doors.Gap) bool { return g.Source == doors.NATS }),
		Now: v.Now, Zone: d.commonZone(u),
	}
	for _, door := range v.Doors {
		if !door.State.Good() {
			data.Sick++
		}
		*map[doors.Entry]*int{
			doors.Open: &data.Open, doors.ByFallback: &data.ByFallback, doors.EntryUnknown: &data.Unknown, doors.Closed: &data.Closed,
		}[door.Entry()]++
		var median, p95 [24]time.Duration
		for i, t := range door.TookHours {
			median[i], p95[i] = t.Median, t.P95
		}
		data.Doors = append(data.Doors, doorData{
			Door: door, Now: v.Now, SayZone: data.Zone == nil, TookPlot: plot.Ranges(median, p95, "Answer times, 95th percentile with a mark at the median,"),
			VisitPlot: plot.Hours(door.Requests, door.CheckIns, "Check-in requests"),
		})
	}
	return data
}

// doorUpdates are those of the page Doors.
func (d *Desk) doorUpdates(r *http.Request) stream.Source {
	sent, lastOrder := map[string]uint64{}, uint64(0)
	return func() (stream.Update, error) {
		parts, order, err := d.parts.get(d, r)
		if err != nil {
			return stream.Update{}, err
		}
		u := stream.Update{Parts: stream.Changed(parts, sent)}
		if h := stream.Hash(strings.Join(order, " ")); h != lastOrder {
			lastOrder, u.List, u.Order = h, "doors", order
		}
		if !u.Empty() {
			u.Shown = doors.Clock(d.now(), d.now(), zoneOr(d.commonZone(access.UserOf(r.Context()))))
		}
		return u, nil
	}
}

// partCache keeps the parts of the page Doors for a moment: all who may see the same
// sites get the same ones.
type partCache struct {
	mu  sync.Mutex
	all map[string]cachedParts
}

type cachedParts struct {
	parts map[string]string
	order []string
	until time.Time
}

const (
	partsLast = time.Second
	maxCached = 64
)

func (c *partCache) get(d *Desk, r *http.Request) (map[string]string, []string, error) {
	u := access.UserOf(r.Context())
	var key strings.Builder
	if u.May(access.Viewer, visit.AllSites) { // who may see every site is shown more of the relays
		key.WriteString("* ")
	}
	for _, s := range d.sites(u, access.Viewer) {
		key.WriteString(s.Name + " ")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.all[key.String()]; ok && time.Now().Before(old.until) {
		return old.parts, old.order, nil
	}
	parts, order, err := d.doorParts(r, u)
	if err != nil {
		return nil, nil, err
	}
	if c.all == nil || len(c.all) >= maxCached {
		c.all = map[string]cachedParts{}
	}
	c.all[key.String()] = cachedParts{parts, order, time.Now().Add(partsLast)}
	return parts, order, nil
}

// doorParts fills all parts of the page Doors that change.
func (d *Desk) doorParts(r *http.Request, u access.User) (parts map[string]string, order []string, err error) {
	data := d.doorsOf(u)
	parts = map[string]string{}
	fill := func(id, part string, with any) {
		if err == nil {
			parts[id], err = d.pages.Part("doors", part, with)
		}
	}
	fill("gaps", "gaps", d.base(r, "", ""))
	fill("summary", "summary", data)
	fill("relays", "relays", data)
	order = []string{}
	for _, door := range data.Doors {
		id := "door." + door.Site + "." + door.Integration
		fill(id, "door", door)
		order = append(order, id)
	}
	return parts, order, err
}

func zoneOr(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}
