package desk

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/orders"
	"github.com/sine-relay/sine-relay/desk/stream"
	"github.com/sine-relay/sine-relay/visit"
)

// confirmData is what the page before an order shows.
type confirmData struct {
	orders.Form
	Token, Word, Text string
	Until             time.Time
	Others            []orderData // in force for whom it concerns
	Problem           string
	Relays            int // that have the site
	Zone              *time.Location
	Now               time.Time
}

// givenData is what the page after an order shows.
type givenData struct {
	*orders.Given
	Answers orders.Answers
	Problem string // why the relays cannot be asked
	Zone    *time.Location
	Now     time.Time
}

// ordered reads a form, and answers where it is not one that the user may send.
func (d *Desk) ordered(w http.ResponseWriter, r *http.Request) (f orders.Form, ok bool) {
	f = orders.Read(r.PostFormValue)
	valid := f.Site == visit.AllSites || visit.ValidName(f.Site)
	if !access.UserOf(r.Context()).Anywhere(access.Operator) || f.Site != "" && (!valid || !access.UserOf(r.Context()).May(access.Operator, f.Site)) {
		d.notFound(w, r)
		return f, false
	}
	var err error
	if f.Action == orders.Lift {
		_, err = f.ReadLift(d.now(), "")
	} else {
		_, err = f.Order(d.now(), "", d.broker.MaxOverride())
	}
	if err != nil {
		d.writeOrders(w, r, http.StatusBadRequest, f, err.Error())
		return f, false
	}
	return f, true
}

// confirmOrder shows what an order does, before it is given.
func (d *Desk) confirmOrder(w http.ResponseWriter, r *http.Request) {
	if f, ok := d.ordered(w, r); ok {
		d.writeConfirm(w, r, http.StatusOK, f, visit.NewRequestID(), "")
	}
}

func (d *Desk) writeConfirm(w http.ResponseWriter, r *http.Request, status int, f orders.Form, token, problem string) {
	u := access.UserOf(r.Context())
	b := d.base(r, "Confirm", "/orders")
	data := confirmData{Form: f, Token: token, Word: f.Confirmation(), Text: f.Preview(), Problem: problem, Zone: d.zoneFor(u, f.Site), Now: d.now()}
	if o, err := f.Order(d.now(), "", d.broker.MaxOverride()); err == nil {
		data.Until = o.Until
	}
	for _, o := range d.ordersFor(u, d.model.StandingOrders()) {
		if o.InForce(d.now()) && orders.Concerns(o.Site, f.Site) {
			data.Others = append(data.Others, o)
		}
	}
	for _, relay := range d.model.Relays() {
		if f.Site == visit.AllSites || relay.SiteCount > len(relay.Sites) || slices.Contains(relay.Sites, f.Site) {
			data.Relays++
		}
	}
	b.Data = data
	d.show(w, status, "confirm", b)
}

// giveOrder gives what was confirmed. A form that is sent again gives nothing again.
func (d *Desk) giveOrder(w http.ResponseWriter, r *http.Request) {
	f, ok := d.ordered(w, r)
	if !ok {
		return
	}
	token := r.PostFormValue("token")
	switch {
	case !anID.MatchString(token):
		d.notFound(w, r)
		return
	case !f.Confirmed(r.PostFormValue("confirm")):
		d.writeConfirm(w, r, http.StatusBadRequest, f, token, "Nothing was ordered. To confirm, type exactly: "+f.Confirmation())
		return
	}
	if d.given.Begin(token) {
		g, problem := d.give(r.Context(), access.UserOf(r.Context()), f)
		d.given.Note(token, g)
		if problem != "" {
			d.message(w, r, http.StatusServiceUnavailable, "Not ordered", problem)
			return
		}
	}
	http.Redirect(w, r, "/orders/given?"+url.Values{"token": {token}}.Encode(), http.StatusSeeOther)
}

// give records and gives an order. A lockdown is given at once, and whether or not it can
// be recorded: safety comes first.
func (d *Desk) give(ctx context.Context, u access.User, f orders.Form) (g *orders.Given, problem string) {
	// Whoever has closed the page in the meantime has ordered all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*quickTimeout)
	defer cancel()
	g = &orders.Given{Form: f, At: d.now(), Before: d.model.Relays()}
	recorded := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(ctx, quickTimeout)
		defer cancel()
		recorded <- d.audit(ctx, u, visit.Action(f.Action), f.Site, f.ID)
	}()
	if f.Action != orders.Lockdown {
		if err := <-recorded; err != nil {
			return nil, "Nothing was ordered: that you order it must be recorded, and that is not possible. " + doors.Why(err)
		}
	}
	if err := d.order(ctx, u, g); errors.Is(err, visit.ErrNotFound) {
		return nil, "Nothing was lifted: that order is not in force any more, or another one has replaced it."
	} else if err != nil {
		return nil, "It is not known to be stored. See on the page Orders whether it is in force, and try again. If that fails, use the command sine-relay " + string(f.Kind) + ". " + doors.Why(err)
	}
	if f.Action == orders.Lockdown {
		if err := <-recorded; err != nil {
			g.NotRecorded = doors.Why(err)
		}
	}
	return g, ""
}

func (d *Desk) order(ctx context.Context, u access.User, g *orders.Given) error {
	by := cut(visit.CleanText(cmp.Or(u.Name, u.ID)), 100)
	if g.Form.Action == orders.Lift {
		l, err := g.Form.ReadLift(d.now(), by)
		if err != nil {
			return err
		}
		g.Revision, err = d.broker.LiftOrder(ctx, l, obeyedIDs(g.Before, l.Kind, l.Site)...)
		return err
	}
	o, err := g.Form.Order(d.now(), by, d.broker.MaxOverride())
	if err != nil {
		return err
	}
	g.Order, err = d.broker.GiveOrder(ctx, o)
	return err
}

// obeyedIDs are the orders of a kind and a site that relays obey, also where NATS has lost
// them.
func obeyedIDs(relays []visit.Relay, kind visit.OrderKind, site string) (ids []string) {
	for _, r := range relays {
		for _, o := range r.Orders {
			if o.Kind == kind && o.Site == site && !slices.Contains(ids, o.ID) {
				ids = append(ids, o.ID)
			}
		}
	}
	return ids
}

// cut leaves the first characters of a text.
func cut(s string, most int) string {
	s = strings.ReplaceAll(s, "\n", " ")
	for utf8.RuneCountInString(s) > most {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}
	return s
}

// showGiven shows which relays obey.
func (d *Desk) showGiven(w http.ResponseWriter, r *http.Request) {
	g := d.givenTo(r)
	if g == nil {
		d.message(w, r, http.StatusNotFound, "Not found", "This desk does not know of that order any more. The page Orders shows what is in force.")
		return
	}
	token := url.QueryEscape(r.FormValue("token"))
	b := d.base(r, "Ordered", "/orders")
	b.Events, b.Refresh, b.Data = "/events?of=order&token="+token, 2, d.answersTo(r, g)
	d.show(w, http.StatusOK, "given", b)
}

// givenTo is what was given for the token of a request, if the user may know of it.
func (d *Desk) givenTo(r *http.Request) *orders.Given {
	g := d.given.Find(r.Context(), r.FormValue("token"))
	if g == nil || !access.UserOf(r.Context()).May(access.Operator, g.Form.Site) {
		return nil
	}
	return g
}

func (d *Desk) answersTo(r *http.Request, g *orders.Given) givenData {
	data := givenData{Given: g, Zone: d.zoneFor(access.UserOf(r.Context()), g.Form.Site), Now: d.now()}
	relays, problem := d.asked.relays(r.Context(), d, g.At)
	data.Problem = problem
	if problem == "" || len(relays) > 0 {
		data.Answers = g.Answers(relays)
	}
	return data
}

// asking asks the relays for all pages that wait for them to obey.
type asking struct {
	mu      sync.Mutex
	until   time.Time
	last    []visit.Relay
	problem string
}

const (
	// askedLasts is how long the answer of the relays is true, and askedFor how long
	// after an order they are asked beside the regular questions.
	askedLasts = 400 * time.Millisecond
	askedFor   = 2 * time.Minute
)

func (a *asking) relays(ctx context.Context, d *Desk, given time.Time) ([]visit.Relay, string) {
	if d.now().Sub(given) > askedFor {
		for _, gap := range d.model.Gaps() {
			if !gap.Partly && (gap.Source == doors.NATS || gap.Source == doors.Relays) {
				return nil, gap.Why
			}
		}
		return d.model.Relays(), ""
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Now().Before(a.until) {
		return a.last, a.problem
	}
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	relays, err := d.broker.Relays(ctx)
	a.last, a.problem, a.until = relays, "", time.Now().Add(askedLasts)
	if err != nil {
		a.problem = doors.Why(err)
	}
	return a.last, a.problem
}

// orderUpdates are those of the page that shows which relays obey.
func (d *Desk) orderUpdates(r *http.Request, g *orders.Given) stream.Source {
	sent := map[string]uint64{}
	return func() (stream.Update, error) {
		html, err := d.pages.Part("given", "obeyed", d.answersTo(r, g))
		return stream.Update{Parts: stream.Changed(map[string]string{"obeyed": html}, sent)}, err
	}
}
