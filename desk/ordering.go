package desk

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

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
	if f.Action != orders.Lift {
		f.ID = "" // it has none yet: what the form says is somebody's text
	}
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
	standing, _ := d.ordersFor(u, d.model.StandingOrders())
	for _, o := range standing {
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
	case !isID(token):
		d.notFound(w, r)
		return
	case !f.Confirmed(r.PostFormValue("confirm")):
		d.writeConfirm(w, r, http.StatusBadRequest, f, token, "Nothing was ordered. To confirm, type exactly: "+f.Confirmation())
		return
	}
	key := keyOf(r, token)
	if d.given.Begin(key) {
		if problem := d.giveOnce(r, key, f); problem != "" {
			d.message(w, r, http.StatusServiceUnavailable, "Not ordered", problem)
			return
		}
	}
	switch g := d.given.Find(r.Context(), key); {
	case g == nil:
		d.message(w, r, http.StatusServiceUnavailable, "Not ordered", "Nothing was ordered the first time that this form was sent. See the page Orders, and begin anew.")
	case g.Form != f:
		d.message(w, r, http.StatusConflict, "Not ordered", "This form was sent before, with something else in it. What it says now was not ordered. See the page Orders, and begin anew.")
	default:
		http.Redirect(w, r, "/orders/given?"+addressOf(token, g).Encode(), http.StatusSeeOther)
	}
}

// keyOf is what an order is remembered by: the token of its form, for the one who sent it.
func keyOf(r *http.Request, token string) string {
	return access.UserOf(r.Context()).ID + "\x00" + token
}

// giveOnce gives what nobody else gives for the key, and lets others know, also if it
// panics.
func (d *Desk) giveOnce(r *http.Request, key string, f orders.Form) (problem string) {
	var g *orders.Given
	defer func() { d.given.Note(key, g) }()
	g, problem = d.give(r.Context(), access.UserOf(r.Context()), f)
	d.feed.Soon()
	return problem
}

// addressOf has what another desk needs to show the page: behind a load balancer, the next
// request may go there.
func addressOf(token string, g *orders.Given) url.Values {
	v := url.Values{"token": {token}, "action": {string(g.Form.Action)}, "kind": {string(g.Form.Kind)}, "site": {g.Form.Site}, "id": {g.Form.ID}}
	if g.Form.Action == orders.Lift {
		v.Set("revision", strconv.FormatUint(g.Revision, 10))
	} else {
		v.Set("id", g.Order.Identity())
	}
	if g.NotRecorded != "" {
		v.Set("recorded", "no")
	}
	return v
}

// give gives an order and records it.
//
// A lockdown keeps people out, and a lift lets the deciders decide again: they come first,
// and are recorded afterwards, whether or not that is possible. An override switches a
// check off: it is recorded first, and not given where that is not possible. Once it is
// stored it is recorded again. An entry has the id of an order that is stored; one without
// an id says that somebody asked for it, and no more.
func (d *Desk) give(ctx context.Context, u access.User, f orders.Form) (g *orders.Given, problem string) {
	// Whoever has closed the page in the meantime has ordered all the same.
	ctx = context.WithoutCancel(ctx)
	g = &orders.Given{Form: f, At: d.now(), Before: d.model.Relays()}
	if f.Action == orders.Override {
		if err := d.auditSoon(ctx, u, visit.ActionOverride, f.Site, ""); err != nil {
			return nil, "Nothing was ordered: that you order it must be recorded, and that is not possible. " + doors.Why(err)
		}
	}
	err := d.order(ctx, u, g)
	if errors.Is(err, visit.ErrNotFound) {
		return nil, "Nothing was lifted: that order is not in force any more, or another one has replaced it."
	}
	notRecorded := d.recordOrder(ctx, u, g, err == nil)
	switch {
	case err != nil:
		return nil, "It is not known to be stored. See on the page Orders whether it is in force, and try again. If that fails, use the command sine-relay " + string(f.Kind) + ". " + doors.Why(err)
	case notRecorded != nil && f.Action == orders.Override:
		// Who asked for it is recorded.
		d.log.Warn("the override is stored, and its id is not recorded", "order", g.Order.Identity(), "err", notRecorded.Error())
	case notRecorded != nil:
		g.NotRecorded = doors.Why(notRecorded)
	}
	return g, ""
}

// recordOrder records what became of an order.
func (d *Desk) recordOrder(ctx context.Context, u access.User, g *orders.Given, stored bool) error {
	id := ""
	switch {
	case stored && g.Form.Action == orders.Lift:
		id = g.Form.ID
	case stored:
		id = g.Order.Identity()
	case g.Form.Action == orders.Override:
		return nil // that it was asked for is recorded
	}
	return d.auditSoon(ctx, u, visit.Action(g.Form.Action), g.Form.Site, id)
}

// askedWords are those of orders of which it is only recorded that somebody asked for them.
var askedWords = map[visit.Action]string{
	visit.ActionLockdown: "asked for a lockdown", visit.ActionOverride: "asked for an override", visit.ActionLift: "asked for a lift",
}

// doneWords say what an entry of the audit means.
func doneWords(a visit.Audit) string {
	if words := askedWords[a.Action]; words != "" && a.Subject == "" {
		return words
	}
	return actionWords[a.Action]
}

// order stores an order or a lift.
func (d *Desk) order(ctx context.Context, u access.User, g *orders.Given) error {
	ctx, cancel := context.WithTimeout(ctx, 2*quickTimeout)
	defer cancel()
	by := orders.By(u.Name, u.ID)
	if g.Form.Action == orders.Lift {
		l, err := g.Form.ReadLift(d.now(), by)
		if err != nil {
			return err
		}
		// Only the order that somebody has seen: another one may have been given since.
		var lost []string
		if orders.Obeyed(g.Before, l.Kind, l.Site, l.Lifts) {
			lost = []string{l.Lifts}
		}
		g.Revision, err = d.broker.LiftOrder(ctx, l, lost...)
		return err
	}
	o, err := g.Form.Order(d.now(), by, d.broker.MaxOverride())
	if err != nil {
		return err
	}
	g.Order, err = d.broker.GiveOrder(ctx, o)
	return err
}

// showGiven shows which relays obey.
func (d *Desk) showGiven(w http.ResponseWriter, r *http.Request) {
	g := d.givenTo(r)
	if g == nil {
		d.message(w, r, http.StatusNotFound, "Not found", "This desk does not know of that order any more. The page Orders shows what is in force.")
		return
	}
	b := d.base(r, "Ordered", "/orders")
	b.Events, b.Refresh, b.Data = "/events?of=order&"+addressOf(r.FormValue("token"), g).Encode(), 2, d.answersTo(r, g)
	d.show(w, http.StatusOK, "given", b)
}

// givenTo is what was given for the token of a request, if the user may know of it.
func (d *Desk) givenTo(r *http.Request) *orders.Given {
	g := d.given.Find(r.Context(), keyOf(r, r.FormValue("token")))
	if g == nil {
		g = d.givenElsewhere(r)
	}
	if g == nil || !access.UserOf(r.Context()).May(access.Operator, g.Form.Site) {
		return nil
	}
	return g
}

// givenElsewhere is what another desk gave, as NATS has it: an address alone is not
// believed.
func (d *Desk) givenElsewhere(r *http.Request) *orders.Given {
	f := orders.Read(r.FormValue)
	ctx, cancel := context.WithTimeout(r.Context(), quickTimeout)
	defer cancel()
	stored, err := d.broker.Orders(ctx)
	if err != nil && !errors.Is(err, visit.ErrInvalidOrder) || f.ID == "" || f.Site == "" {
		return nil
	}
	g := &orders.Given{Form: f, At: d.now()}
	if r.FormValue("recorded") == "no" {
		g.NotRecorded = "Another desk could not store the record."
	}
	i := slices.IndexFunc(stored, func(o visit.Order) bool {
		return o.Identity() == f.ID && o.Kind == f.Kind && o.Site == f.Site && o.InForce(d.now())
	})
	if f.Action == orders.Lift {
		g.Revision, err = strconv.ParseUint(r.FormValue("revision"), 10, 64)
		if i >= 0 || err != nil {
			return nil
		}
		return g
	}
	if i < 0 {
		return nil
	}
	g.Order, g.At = stored[i], stored[i].Since
	return g
}

func (d *Desk) answersTo(r *http.Request, g *orders.Given) givenData {
	data := givenData{Given: g, Zone: d.zoneFor(access.UserOf(r.Context()), g.Form.Site), Now: d.now()}
	relays, problem := d.relaysAfter(r.Context(), g.At)
	data.Problem = problem
	if problem == "" || len(relays) > 0 {
		data.Answers = g.Answers(relays)
	}
	d.feed.Soon() // the other pages are to say the same
	return data
}

// askedFor is how long after an order the relays are asked beside the regular questions.
const askedFor = 2 * time.Minute

// relaysAfter are the relays as they are now, or why they cannot be asked.
func (d *Desk) relaysAfter(ctx context.Context, given time.Time) ([]visit.Relay, string) {
	if d.now().Sub(given) > askedFor {
		for _, gap := range d.model.Gaps() {
			if !gap.Partly && (gap.Source == doors.NATS || gap.Source == doors.Relays) {
				return nil, gap.Why
			}
		}
		return d.model.Relays(), ""
	}
	ctx, cancel := context.WithTimeout(ctx, quickTimeout)
	defer cancel()
	relays, err := d.asked.Relays(ctx, d.broker.Relays)
	if err != nil {
		return relays, doors.Why(err)
	}
	return relays, ""
}

// orderUpdates are those of the page that shows which relays obey.
func (d *Desk) orderUpdates(r *http.Request, g *orders.Given) stream.Source {
	sent := map[string]uint64{}
	return func() (stream.Update, error) {
		html, err := d.pages.Part("given", "obeyed", d.answersTo(r, g))
		return stream.Update{Parts: stream.Changed(map[string]string{"obeyed": html}, sent)}, err
	}
}
