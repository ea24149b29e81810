package desk_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestOrders_AreGivenListedAndLifted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "desk", Password: "Zsecret"}}
	})
	d := deskOn(t, s)
	ctx := within(t, patience)
	if _, err := d.Orders(ctx); !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("without a bucket: %v", err)
	}
	begin := time.Now()
	o, err := d.GiveOrder(ctx, visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "test", By: "ann", Until: begin.Add(time.Hour)})
	if err != nil || o.ID == "" || o.User != "desk" || o.Account == "" || o.Since.IsZero() {
		t.Fatalf("%+v: %v", o, err)
	}
	if lasts := o.Until.Sub(o.Since); lasts < 50*time.Minute || lasts > time.Hour {
		t.Errorf("it lasts %s", lasts)
	}
	if all, err := d.Orders(ctx); err != nil || !slices.Equal(all, []visit.Order{o}) {
		t.Errorf("%+v: %v", all, err)
	}
	revision, err := d.LiftOrder(ctx, visit.Lift{Kind: o.Kind, Site: o.Site, Lifts: o.ID, By: "ann"})
	if err != nil || revision != 2 {
		t.Errorf("revision %d: %v", revision, err)
	}
	if all, err := d.Orders(ctx); err != nil || len(all) != 0 {
		t.Errorf("%+v: %v", all, err)
	}
}

// A lockdown must not wait for the time that a permission takes to be refused.
func TestOrders_AreGivenWithoutAUserOfNATS(t *testing.T) {
	t.Parallel()
	needs := []string{"$JS.API.STREAM.*.KV_VISITOR_ORDERS", "$JS.API.CONSUMER.>", "$KV.VISITOR_ORDERS.>"}
	s := natstest.Start(t, confined(needs, []string{"_INBOX.>"}))
	d := deskOn(t, s)
	o, err := d.GiveOrder(within(t, patience), visit.Order{Kind: visit.OrderLockdown, Site: visit.AllSites})
	if err != nil || o.User != "" || !strings.Contains(d.log.String(), "$SYS.REQ.USER.INFO") {
		t.Errorf("%+v: %v, logged %s", o, err, d.log)
	}
}

func TestOrders_WhatRelaysObeyIsLiftedByItsIDAlone(t *testing.T) {
	t.Parallel()
	d := deskOn(t, natstest.Start(t))
	ctx := within(t, patience)
	l := visit.Lift{Kind: visit.OrderLockdown, Site: "hq", Lifts: "LOST2"}
	for name, obeyed := range map[string][]string{"nothing": nil, "another order": {"LOST1"}} {
		if _, err := d.LiftOrder(ctx, l, obeyed...); !errors.Is(err, visit.ErrNotFound) {
			t.Errorf("relays obey %s: %v", name, err)
		}
	}
	if revision, err := d.LiftOrder(ctx, l, "LOST1", "LOST2"); err != nil || revision != 1 {
		t.Errorf("revision %d: %v", revision, err)
	}
}

// Whoever lifts has seen one order. One that replaced it since stays in force.
func TestOrders_ALiftEndsNoOrderThanTheOneItNames(t *testing.T) {
	t.Parallel()
	d := deskOn(t, natstest.Start(t))
	ctx := within(t, patience)
	var given [2]visit.Order
	for i, reason := range []string{"drill", "emergency"} {
		var err error
		if given[i], err = d.GiveOrder(ctx, visit.Order{Kind: visit.OrderLockdown, Site: "hq", Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	seen, since := given[0], given[1]
	for name, c := range map[string]struct {
		lifts string
		is    error
	}{
		"one that was replaced": {seen.ID, visit.ErrNotFound}, "one that nobody gave": {"whatever", visit.ErrNotFound}, "none": {"", nil},
	} {
		_, err := d.LiftOrder(ctx, visit.Lift{Kind: visit.OrderLockdown, Site: "hq", Lifts: c.lifts}, seen.ID, since.ID)
		if err == nil || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("the lift of %s: %v", name, err)
		}
		if all, err := d.Orders(ctx); err != nil || len(all) != 1 || all[0].ID != since.ID {
			t.Fatalf("after the lift of %s, in force are %+v: %v", name, all, err)
		}
	}
	if _, err := d.LiftOrder(ctx, visit.Lift{Kind: visit.OrderLockdown, Site: "hq", Lifts: since.ID}); err != nil {
		t.Error(err)
	}
}

func TestOrders_AnInvalidOneIsNotStored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d := deskOn(t, s)
	ctx, now := within(t, patience), time.Now()
	for name, o := range map[string]visit.Order{
		"too long":         {Kind: visit.OrderOverride, Site: "hq", Reason: "test", Since: now, Until: now.Add(d.MaxOverride() + time.Second)},
		"without a reason": {Kind: visit.OrderOverride, Site: "hq", Until: now.Add(time.Hour)},
		"without an end":   {Kind: visit.OrderOverride, Site: "hq", Reason: "test"},
		"not a site":       {Kind: visit.OrderLockdown, Site: "hq.>"},
	} {
		if _, err := d.GiveOrder(ctx, o); err == nil {
			t.Errorf("%s: it is given", name)
		}
	}
	if all, err := d.Orders(ctx); !errors.Is(err, visit.ErrStreamMissing) && len(all) != 0 {
		t.Errorf("%+v: %v", all, err)
	}
}

// What somebody else put into the bucket hides no order.
func TestOrders_GarbageHidesNone(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d := deskOn(t, s)
	ctx := within(t, patience)
	o, err := d.GiveOrder(ctx, visit.Order{Kind: visit.OrderLockdown, Site: "hq"})
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"lockdown.site.hq", "override.all", "else"} {
		if _, err := s.JetStream().Publish(ctx, "$KV.VISITOR_ORDERS."+key, []byte("{")); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := d.Orders(ctx); !errors.Is(err, visit.ErrInvalidOrder) || !slices.Equal(all, []visit.Order{o}) {
		t.Errorf("%+v: %v", all, err)
	}
	if _, err := d.LiftOrder(ctx, visit.Lift{Kind: o.Kind, Site: o.Site, Lifts: o.Identity()}); err != nil {
		t.Fatal(err)
	}
	if all, err := d.Orders(ctx); !errors.Is(err, visit.ErrInvalidOrder) || all == nil || len(all) != 0 {
		t.Errorf("without another one: %+v: %v", all, err)
	}
}
