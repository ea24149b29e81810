package orders_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestWatch_OrdersReachEveryWatcher(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	var log logtest.Buffer
	early, other := watch(t, s, into(&log)), watch(t, s)
	sees(t, early)
	sees(t, other)
	b := open(t, s)
	put(t, b, lockdown(visit.AllSites), override("hq"))
	late := watch(t, s)
	for _, w := range []*orders.Watcher{early, other, late} {
		sees(t, w, lockdown(visit.AllSites), override("hq"))
	}
	changed := override("hq")
	changed.Until = begun.Add(2 * time.Hour)
	put(t, b, changed)
	for _, w := range []*orders.Watcher{early, other, late} {
		sees(t, w, lockdown(visit.AllSites), changed)
	}
	lift(t, b, lockdown(visit.AllSites))
	for _, w := range []*orders.Watcher{early, other, late} {
		sees(t, w, changed)
	}
	for part, times := range map[string]int{
		`msg="standing order in force" kind=lockdown site=* by=ada `: 1,
		`message="Please leave" reason=alarm`:                        1,
		`msg="standing order in force" kind=override site=hq by=ada`: 2,
		`msg="standing order ended" kind=lockdown site=* by=ada `:    1,
		`why=lifted`:                 1,
		`msg="standing order ended"`: 1,
	} {
		eventually(t, "the log has: "+part, func() bool { return strings.Count(log.String(), part) >= times })
		if n := strings.Count(log.String(), part); n != times {
			t.Errorf("%d times, and not %d: %s\n%s", n, times, part, log.String())
		}
	}
}

// The measure is logged; what is asserted is only that it ends.
func TestWatch_MeasuresHowLongAnOrderTakes(t *testing.T) {
	s := natstest.Start(t)
	watchers := []*orders.Watcher{watch(t, s), watch(t, s), watch(t, s)}
	for _, w := range watchers {
		sees(t, w)
	}
	b := open(t, s)
	var took []time.Duration
	for n := range 20 {
		o := lockdown("hq")
		o.Message = strings.Repeat("x", n)
		start := time.Now()
		put(t, b, o)
		came := map[*orders.Watcher]bool{}
		eventually(t, "every watcher has the order", func() bool {
			for _, w := range watchers {
				if all, _ := w.Orders(); !came[w] && slices.Contains(plain(all), o) {
					came[w] = true
					took = append(took, time.Since(start))
				}
			}
			return len(came) == len(watchers)
		})
	}
	slices.Sort(took)
	t.Logf("from Put to %d snapshots of three watchers, looked at every 2 ms: median %s, longest %s", len(took), took[len(took)/2], took[len(took)-1])
}

func TestWatch_OrderExpiresByItself(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s)
	o := override("hq")
	o.Until = o.Since.Add(time.Second)
	put(t, open(t, s), o)
	sees(t, w, o)
	eventually(t, "it is not in force any more", func() bool {
		all, _ := w.Orders()
		return len(all) == 1 && !all[0].InForce(time.Now())
	})
}

// A consumer that is paused goes on sending heartbeats: nothing but reading
// everything again helps.
func TestTrap_WhoDeliversMayFallSilent(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s, readSoon)
	sees(t, w)
	b := open(t, s)
	js := jetStream(t, s)
	stream, err := js.Stream(within(t, patience), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(within(t, patience)).Name() {
		if _, err := js.PauseConsumer(within(t, patience), "KV_"+bucket, name, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	put(t, b, lockdown("hq"))
	sees(t, w, lockdown("hq"))
}

func TestWatch_SurvivesADeletedConsumer(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s)
	sees(t, w)
	b := open(t, s)
	js := jetStream(t, s)
	stream, err := js.Stream(within(t, patience), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	for name := range stream.ConsumerNames(within(t, patience)).Name() {
		if err := js.DeleteConsumer(within(t, patience), "KV_"+bucket, name); err != nil {
			t.Fatal(err)
		}
	}
	put(t, b, lockdown("hq"))
	sees(t, w, lockdown("hq"))
	follows(t, w)
}

func TestWatch_CloseAlwaysReturns(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	following := watch(t, s)
	sees(t, following)
	following.Close()
	following.Close()
	if all, known := following.Orders(); !known || len(all) != 0 {
		t.Errorf("%v %v", all, known)
	}
	watch(t, s).Close()
	s.Stop()
	watch(t, s).Close()
}
