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
	revision, err := d.LiftOrder(ctx, visit.Lift{Kind: o.Kind, Site: o.Site, By: "ann"})
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

func TestOrders_WhatRelaysHoldIsLiftedByItsID(t *testing.T) {
	t.Parallel()
	d := deskOn(t, natstest.Start(t))
	ctx := within(t, patience)
	l := visit.Lift{Kind: visit.OrderLockdown, Site: "hq"}
	if _, err := d.LiftOrder(ctx, l); !errors.Is(err, visit.ErrNotFound) {
		t.Errorf("nothing is in force: %v", err)
	}
	if revision, err := d.LiftOrder(ctx, l, "LOST1", "LOST2"); err != nil || revision != 2 {
		t.Errorf("revision %d: %v", revision, err)
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
	if _, err := d.LiftOrder(ctx, visit.Lift{Kind: o.Kind, Site: o.Site}); err != nil {
		t.Fatal(err)
	}
	if all, err := d.Orders(ctx); !errors.Is(err, visit.ErrInvalidOrder) || all == nil || len(all) != 0 {
		t.Errorf("without another one: %+v: %v", all, err)
	}
}
