package orders_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

func TestBook_PutsListsAndLiftsOrders(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := open(t, s)
	listed := func(want ...visit.Order) {
		t.Helper()
		if all, err := b.List(within(t, patience)); err != nil || !slices.Equal(plain(all), want) {
			t.Errorf("%+v, %v, want %+v", all, err, want)
		}
	}
	listed()
	// A site may be called as the key of all sites is.
	put(t, b, override("hq"), lockdown("all"), lockdown(visit.AllSites), lockdown("hq"))
	listed(lockdown(visit.AllSites), lockdown("all"), lockdown("hq"), override("hq"))

	changed := lockdown("hq")
	changed.Message = "Use the back door"
	put(t, b, changed)
	lift(t, b, lockdown(visit.AllSites))
	listed(lockdown("all"), changed, override("hq"))

	again := open(t, s)
	if all, err := again.List(within(t, patience)); err != nil || len(all) != 3 {
		t.Errorf("opened again: %+v, %v", all, err)
	}
}

func TestBook_LiftOfWhatIsNotInForceIsAnError(t *testing.T) {
	t.Parallel()
	b := open(t, natstest.Start(t))
	expired := override("branch")
	expired.Until = expired.Since.Add(time.Millisecond)
	put(t, b, lockdown("hq"), expired)
	eventually(t, "it has ended", func() bool {
		all, err := b.List(within(t, patience))
		return err == nil && !all[len(all)-1].InForce(time.Now())
	})
	lift(t, b, lockdown("hq"))
	for name, o := range map[string]visit.Order{
		"lifted before": lockdown("hq"), "never given": override("hq"), "expired": expired,
	} {
		if _, err := b.Lift(within(t, patience), liftOf(o)); !errors.Is(err, orders.ErrNotInForce) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if all, err := b.List(within(t, patience)); err != nil || len(all) != 0 {
		t.Errorf("left are %+v, %v", all, err)
	}
	for name, o := range map[string]visit.Order{
		"a site that is none": lockdown("a.b"), "a kind that is none": {Kind: "drill", Site: "hq"},
	} {
		if _, err := b.Lift(within(t, patience), liftOf(o)); err == nil || errors.Is(err, orders.ErrNotInForce) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBook_RefusesAnInvalidOrder(t *testing.T) {
	t.Parallel()
	b := open(t, natstest.Start(t))
	o := override("hq")
	o.Reason = ""
	if _, err := b.Put(within(t, patience), o); err == nil || !strings.Contains(err.Error(), "reason") {
		t.Error(err)
	}
	if all, err := b.List(within(t, patience)); err != nil || len(all) != 0 {
		t.Errorf("stored are %+v, %v", all, err)
	}
}

func TestBook_StoresTheLongestOrder(t *testing.T) {
	t.Parallel()
	b := open(t, natstest.Start(t))
	o := override(strings.Repeat("x", 64))
	o.Message, o.Reason, o.By = strings.Repeat("<", 500), strings.Repeat("<", 499)+"x", strings.Repeat("😀", 100)
	put(t, b, o)
}

func TestBucket_IsCreatedWithTheRightConfiguration(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := open(t, s)
	for n := range 12 {
		o := lockdown("hq")
		o.By = strings.Repeat("x", n)
		put(t, b, o)
	}
	js := jetStream(t, s)
	kv, err := js.KeyValue(within(t, patience), bucket)
	if err != nil {
		t.Fatal(err)
	}
	status, err := kv.Status(within(t, patience))
	if err != nil {
		t.Fatal(err)
	}
	cfg := status.Config()
	if cfg.Storage != jetstream.FileStorage || cfg.TTL != 0 || cfg.MaxBytes > 0 {
		t.Errorf("%+v", cfg)
	}
	if history, err := kv.History(within(t, patience), "lockdown.site.hq"); err != nil || len(history) != 10 {
		t.Errorf("%d of the last orders are there, %v", len(history), err)
	}
}

func TestBucket_FailedCreationIsReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	_, err := orders.Open(within(t, patience), jetStream(t, s), bucket, 3)
	if err == nil || !strings.Contains(err.Error(), bucket) {
		t.Errorf("three replicas on one server: %v", err)
	}
	s.Stop()
	js := jetStream(t, s)
	if _, err := orders.Open(within(t, time.Second), js, bucket, 1); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("without NATS: %v", err)
	}
}
