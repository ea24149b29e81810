package relaytest

import (
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// Lockdown rejects every visitor of a site, or of [visit.AllSites], until lift is called. It
// returns when the relay obeys, and so does lift.
func (r *Relay) Lockdown(site string) (lift func()) {
	r.t.Helper()
	return r.Order(visit.Order{Kind: visit.OrderLockdown, Site: site})
}

// Override accepts every visitor of a site without a decider for an hour, or until lift is
// called. It returns when the relay obeys, and so does lift.
func (r *Relay) Override(site string) (lift func()) {
	r.t.Helper()
	now := time.Now()
	return r.Order(visit.Order{Kind: visit.OrderOverride, Site: site, Reason: "a test", Since: now, Until: now.Add(time.Hour)})
}

// Order gives a standing order as an operator does. It returns when the relay obeys, and so
// does lift. The order begins when it is given, whatever its Since is.
func (r *Relay) Order(o visit.Order) (lift func()) {
	r.t.Helper()
	book := r.book()
	defer book.Close()
	given, err := book.Put(wait.Context(r.t, wait.Limit), o)
	if err != nil {
		r.t.Fatal(err)
	}
	wait.Until(r.t, "the relay obeys the order", func() bool { return r.obeys(given) })
	return func() {
		r.t.Helper()
		book := r.book()
		defer book.Close()
		if _, err := book.Lift(wait.Context(r.t, wait.Limit), visit.Lift{Kind: o.Kind, Site: o.Site}); err != nil {
			r.t.Fatal(err)
		}
		wait.Until(r.t, "the relay no longer obeys the order", func() bool { return !r.obeys(given) })
	}
}

// obeys reports whether an order is in force at a site that it concerns.
func (r *Relay) obeys(o visit.Order) bool {
	return slices.ContainsFunc(r.settings.Sites(), func(site string) bool {
		known, _ := r.server.Broker.OrdersAt(site)
		return slices.ContainsFunc(known, func(k visit.Order) bool { return k.Identity() == o.Identity() })
	})
}

func (r *Relay) book() *admin.Book {
	r.t.Helper()
	cfg := server.AdminConfig(r.settings)
	cfg.NATS.Servers = []string{r.server.Embedded.URL()}
	cfg.NATS.Auth = dial.Auth{User: string(Operator), Password: func() string { return r.server.Embedded.Password(string(Operator)) }}
	book, err := admin.OpenBook(wait.Context(r.t, wait.Limit), cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	return book
}
