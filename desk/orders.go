package desk

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/orders"
	"github.com/sine-relay/sine-relay/desk/stream"
	"github.com/sine-relay/sine-relay/visit"
)

// ordersData is what the page Orders shows.
type ordersData struct {
	InForce, Ended  []orderData
	Problem         string // why the orders cannot be read
	Ineffective     string // which entries are invalid
	More            bool   // relays obey more orders that NATS has lost than are listed
	Entered         orders.Form
	Invalid         string // what is wrong with what was entered
	May             bool
	Everywhere      bool // it may be for all sites
	Sites           []string
	Durations       []orders.Duration
	MostForOverride string
}

// orderData is an order with what a template needs.
type orderData struct {
	visit.Order
	Obeying, Of int
	May         bool // it may be lifted
	Lost        bool // relays obey it, and NATS does not store it
	Zone        *time.Location
	Now         time.Time
}

// maxEnded is how many orders that have ended are shown.
const maxEnded = 10

func (d *Desk) showOrders(w http.ResponseWriter, r *http.Request) {
	d.writeOrders(w, r, http.StatusOK, orders.Form{Action: orders.Lockdown, Site: r.FormValue("site")}, "")
}

func (d *Desk) writeOrders(w http.ResponseWriter, r *http.Request, status int, entered orders.Form, invalid string) {
	u := access.UserOf(r.Context())
	b := d.base(r, "Orders", "/orders")
	data := ordersData{
		Entered: entered, Invalid: invalid, May: u.Anywhere(access.Operator), Everywhere: u.May(access.Operator, visit.AllSites),
		Sites: d.operated(u), Durations: orders.Durations(24 * time.Hour), MostForOverride: orders.Words(d.broker.MaxOverride()),
	}
	ctx, cancel := context.WithTimeout(r.Context(), quickTimeout)
	defer cancel()
	stored, err := d.broker.Orders(ctx)
	switch {
	case errors.Is(err, visit.ErrInvalidOrder):
		data.Ineffective = ineffective(u, doors.Why(err))
	case err != nil:
		data.Problem = doors.Why(err)
	}
	all, more := d.ordersFor(u, stored)
	data.More = more
	data.sort(all, d.now())
	if invalid == "" {
		b.Refresh = 10
	}
	b.Events, b.Data = "/events?of=orders", data
	d.show(w, status, "orders", b)
}

// sort tells the orders that are in force from those that have ended.
func (data *ordersData) sort(all []orderData, now time.Time) {
	for _, o := range all {
		if o.InForce(now) {
			data.InForce = append(data.InForce, o)
		} else if len(data.Ended) < maxEnded {
			data.Ended = append(data.Ended, o)
		}
	}
}

// inForceUpdates are those of the page Orders, as far as it is known without asking.
func (d *Desk) inForceUpdates(r *http.Request) stream.Source {
	sent := map[string]uint64{}
	return func() (stream.Update, error) {
		u := access.UserOf(r.Context())
		data := ordersData{Everywhere: u.May(access.Operator, visit.AllSites)}
		for _, gap := range d.model.Gaps() {
			switch {
			case gap.Partly && gap.Source == doors.Orders:
				data.Ineffective = ineffective(u, gap.Why)
			case !gap.Partly && (gap.Source == doors.NATS || gap.Source == doors.Orders):
				data.Problem = gap.Why
			}
		}
		all, more := d.ordersFor(u, d.model.StandingOrders())
		data.More = more
		data.sort(all, d.now())
		inForce, err := d.pages.Part("orders", "in-force", data)
		if err != nil {
			return stream.Update{}, err
		}
		gaps, err := d.pages.Part("orders", "gaps", d.base(r, "", ""))
		return stream.Update{Parts: stream.Changed(map[string]string{"in-force-list": inForce, "gaps": gaps}, sent)}, err
	}
}

// ineffective says which entries are invalid to those who may see every site: the text
// names sites.
func ineffective(u access.User, why string) string {
	if u.May(access.Viewer, visit.AllSites) {
		return why
	}
	return "Those who may see every site are shown which."
}

// ordersFor are the orders that concern a site that somebody may see, the newest first,
// with those that NATS has lost and relays obey, of which there may be more.
func (d *Desk) ordersFor(u access.User, stored []visit.Order) (all []orderData, more bool) {
	relays := d.model.Relays()
	lost, more := orders.Lost(relays, stored)
	concat := slices.Concat(stored, lost)
	counts := orders.CountObeying(relays, concat)
	for i, o := range concat {
		everywhere := o.Site == visit.AllSites || o.Site == ""
		if !everywhere && !u.May(access.Viewer, o.Site) {
			continue
		}
		all = append(all, orderData{o, counts[i].Obeying, counts[i].Of, u.May(access.Operator, cmp.Or(o.Site, visit.AllSites)), i >= len(stored), d.zoneFor(u, o.Site), d.now()})
	}
	slices.SortStableFunc(all, func(a, b orderData) int { return b.Since.Compare(a.Since) })
	return all, more
}

// zoneFor is the zone of a site, or the one that the sites of somebody have in common.
func (d *Desk) zoneFor(u access.User, site string) *time.Location {
	if site == visit.AllSites || site == "" {
		return zoneOr(d.commonZone(u))
	}
	return d.zoneOf(site)
}

// operated are the sites for which somebody may give orders, also those of which the desk
// has not heard.
func (d *Desk) operated(u access.User) (sites []string) {
	for _, s := range d.sites(u, access.Operator) {
		sites = append(sites, s.Name)
	}
	for _, s := range readable(u, access.Operator) {
		if s != visit.AllSites && !slices.Contains(sites, s) {
			sites = append(sites, s)
		}
	}
	slices.Sort(sites)
	return sites
}
