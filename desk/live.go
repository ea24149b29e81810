package desk

import (
	"fmt"
	"html/template"
	"net/http"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/live"
	"github.com/sine-relay/sine-relay/desk/page"
	"github.com/sine-relay/sine-relay/desk/stream"
	"github.com/sine-relay/sine-relay/visit"
)

// maxPerUpdate is how many entries a page gets at once: nobody reads more of them.
const maxPerUpdate = 40

// liveData is what the page Live shows.
type liveData struct {
	Entries []template.HTML
	Missed  uint64
	// Lost is set where more came than the desk keeps, and it is not known of what.
	Lost bool
	// Restarted is set where it is not known how many were missed.
	Restarted  bool
	Site, Kind string
	Sites      []doors.Site
	Kinds      []visit.Kind
}

// entryData is an entry with what a template needs. What is equal looks the same.
type entryData struct {
	live.Entry
	// Clock is when it was received, in its zone.
	Clock string
	Zone  *time.Location
	// SayZone is set where not all entries are of one zone.
	SayZone bool
	// Contradicted is set for the check-in of a visitor who had been rejected.
	Contradicted bool
	// Reveal is set for those who may see the visitor's name, where there is one.
	Reveal bool
}

var kinds = []visit.Kind{visit.KindCheckInRequest, visit.KindCheckedIn, visit.KindCheckedOut}

func (d *Desk) showLive(w http.ResponseWriter, r *http.Request) {
	u := access.UserOf(r.Context())
	data, last, err := d.liveAfter(r, 0, live.Kept)
	if err != nil {
		d.notShown(w, "live")
		return
	}
	data.Missed, data.Lost = 0, false // what is older than the page is not missed
	data.Site, data.Kind, data.Sites, data.Kinds = r.FormValue("site"), r.FormValue("kind"), d.sites(u, access.Viewer), kinds
	b := d.base(r, "Live", "/live")
	b.Events, b.Refresh, b.Data = fmt.Sprintf("/events?of=live&site=%s&kind=%s&after=%s", clean(data.Site), clean(data.Kind), d.tokens.Of(last)), 5, data
	d.show(w, http.StatusOK, "live", b)
}

// clean is a name, or nothing.
func clean(name string) string {
	if !visit.ValidName(name) {
		return ""
	}
	return name
}

// liveAfter returns the entries after one that somebody may see and has asked for.
func (d *Desk) liveAfter(r *http.Request, number uint64, most int) (data liveData, last uint64, err error) {
	u, site, kind := access.UserOf(r.Context()), r.FormValue("site"), visit.Kind(r.FormValue("kind"))
	found, missed, lost, last := d.live.After(number, most, func(e *live.Entry) bool {
		return u.May(access.Viewer, e.Site) && (site == "" || e.Site == site) && (kind == "" || e.Kind == kind)
	})
	data.Missed = missed
	if lost > 0 && site == "" && kind == "" && u.May(access.Viewer, visit.AllSites) {
		data.Missed += lost
	} else {
		data.Lost = lost > 0 // not how many: the number would count other sites
	}
	several, now := d.commonZone(u) == nil, d.now()
	for _, e := range found {
		zone := d.zoneOf(e.Site)
		html, err := d.entries.get(entryData{
			Entry: e, Clock: doors.Clock(e.Received, now, zoneOr(zone)), Zone: zone, SayZone: several,
			Contradicted: e.Kind == visit.KindCheckedIn && d.model.Contradicted(e.Site, e.Visit, e.Received), Reveal: e.EventID != "" && u.May(access.Reception, e.Site),
		}, d.pages)
		if err != nil {
			return data, last, err
		}
		data.Entries = append(data.Entries, html)
	}
	return data, last, nil
}

// entryCache keeps what entries look like: many look at the same ones.
type entryCache struct {
	mu  sync.Mutex
	all map[entryData]template.HTML
}

// maxEntries is room for all entries that are kept, as several kinds of viewers see them.
const maxEntries = 4 * live.Kept

func (c *entryCache) get(e entryData, pages page.Pages) (template.HTML, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if html, there := c.all[e]; there {
		return html, nil
	}
	text, err := pages.Part("live", "entry", e)
	if err != nil {
		return "", err
	}
	if c.all == nil || len(c.all) >= maxEntries {
		c.all = map[entryData]template.HTML{}
	}
	html := template.HTML(text) // which was escaped when the template was filled
	c.all[e] = html
	return html, nil
}

// liveUpdates are those of the page Live. They go on where the page was.
func (d *Desk) liveUpdates(r *http.Request) stream.Source {
	from := r.Header.Get("Last-Event-ID")
	if from == "" {
		from = r.FormValue("after")
	}
	after, known := d.tokens.Number(from) // 0 where it is not known
	restarted := !known
	sent := map[string]uint64{}
	return func() (stream.Update, error) {
		data, last, err := d.liveAfter(r, after, maxPerUpdate)
		if err != nil {
			return stream.Update{}, err
		}
		data.Restarted, restarted, after = restarted, false, last
		gaps, err := d.pages.Part("live", "gaps", d.base(r, "", ""))
		if err != nil {
			return stream.Update{}, err
		}
		u := stream.Update{Parts: stream.Changed(map[string]string{"gaps": gaps}, sent), ID: d.tokens.Of(last)}
		if len(data.Entries) > 0 || data.Missed > 0 || data.Lost || data.Restarted {
			u.List, u.Most = "entries", live.Kept
			u.Prepend, err = d.pages.Part("live", "entries", data)
		}
		return u, err
	}
}

// pageUpdates are those of a page that shows what was stored at one time: only what is
// not known changes on it.
func (d *Desk) pageUpdates(r *http.Request) stream.Source {
	sent := map[string]uint64{}
	return func() (stream.Update, error) {
		gaps, err := d.pages.Part("message", "gaps", d.base(r, "", ""))
		return stream.Update{Parts: stream.Changed(map[string]string{"gaps": gaps}, sent)}, err
	}
}

// events is the stream of a page.
func (d *Desk) events(w http.ResponseWriter, r *http.Request) {
	var next stream.Source
	switch r.FormValue("of") {
	case "doors":
		next = d.doorUpdates(r)
	case "live":
		next = d.liveUpdates(r)
	case "page":
		next = d.pageUpdates(r)
	case "orders":
		next = d.inForceUpdates(r)
	case "order":
		if g := d.givenTo(r); g != nil {
			next = d.orderUpdates(r, g)
		}
	}
	if next == nil {
		d.notFound(w, r)
		return
	}
	d.streams.Serve(w, r, access.UserOf(r.Context()).ID, next, func() {
		d.message(w, r, http.StatusServiceUnavailable, "Too many pages", fmt.Sprintf("%d pages of yours, or %d of all users, are open already. Close some.", stream.MaxPerUser, stream.MaxViewers))
	})
}
