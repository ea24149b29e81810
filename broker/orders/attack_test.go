package orders_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// A reading that fails at once must not be tried at once, also where it is urgent:
// each one makes a consumer.
func TestTrap_ABucketThatCannotBeReadForANewSite(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	put(t, open(t, s), lockdown("hq"))
	js := jetStream(t, s)
	endless(t, js)
	w := watch(t, s, func(c *orders.WatchConfig) { c.JetStream, c.Sites = js, []string{"hq"} })
	follows(t, w)
	other := jetStream(t, s).Conn()
	for range 1000 {
		if err := other.Publish("$KV."+bucket+".lockdown.site.hq", []byte("?")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "they are read", func() bool { return w.Status().InvalidCount == 1000 })
	w.SetSites([]string{"hq", "branch"})
	eventually(t, "they are too many", func() bool {
		err := w.Status().Err
		return err != nil && strings.Contains(err.Error(), "too many entries")
	})
	before := js.Conn().Stats().OutMsgs
	time.Sleep(2 * time.Second) // in which it tried hundreds of times
	if n := js.Conn().Stats().OutMsgs - before; n > 60 {
		t.Errorf("%d requests in two seconds", n)
	}
	if all, known := w.Orders(); known || len(all) != 1 {
		t.Errorf("%+v, known %v", all, known)
	}
}

// endless has the bucket keep every entry of a key.
func endless(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	stream, err := js.Stream(within(t, patience), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgsPerSubject = -1
	if _, err := js.UpdateStream(within(t, patience), cfg); err != nil {
		t.Fatal(err)
	}
}

// With a roll-up, one publication takes away every entry of its key, or of the
// bucket, in whose place it stands.
func TestBucket_RollUpDoesNotLiftALockdown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rollUp, key string }{
		{"sub", "lockdown.site.hq"}, {"all", "lockdown.site.hq"}, {"all", "lockdown.site.branch"}, {"all", "lockdown.site.elsewhere"},
	} {
		t.Run(c.rollUp+" "+c.key, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			put(t, open(t, s), lockdown("hq"))
			ctx := within(t, patience)
			_, err := jetStream(t, s).PublishMsg(ctx, &nats.Msg{
				Subject: "$KV." + bucket + "." + c.key, Header: nats.Header{"Nats-Rollup": {c.rollUp}}, Data: []byte("?"),
			})
			if err == nil {
				t.Error("the bucket takes it")
			}
			w := watch(t, s, func(c *orders.WatchConfig) { c.Sites = []string{"hq", "branch"} })
			sees(t, w, lockdown("hq"))
		})
	}
}

// A bucket that somebody else made may take roll-ups.
func TestBucket_RollUpInAnExistingOneLeavesOrdersUnknown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ rollUp, key string }{{"sub", "lockdown.site.hq"}, {"all", "lockdown.site.hq"}, {"all", "lockdown.site.branch"}} {
		t.Run(c.rollUp+" "+c.key, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			js := jetStream(t, s)
			makeAsToolsDo(t, s)
			put(t, open(t, s), lockdown("hq"))
			old := watch(t, s)
			sees(t, old, lockdown("hq"))
			_, err := js.PublishMsg(within(t, patience), &nats.Msg{
				Subject: "$KV." + bucket + "." + c.key, Header: nats.Header{"Nats-Rollup": {c.rollUp}}, Data: []byte("?"),
			})
			if err != nil {
				t.Fatal(err)
			}
			fresh := watch(t, s, func(c *orders.WatchConfig) { c.Sites = []string{"hq", "branch"} })
			follows(t, fresh)
			if _, known := fresh.Orders(); known {
				t.Errorf("what the roll-up took is taken for never given: %+v", fresh.Status())
			}
			fields := ""
			for _, d := range fresh.Status().Drift {
				fields += d.Field + " "
			}
			if !strings.Contains(fields, "allow_rollup_hdrs") {
				t.Errorf("drift in %s", fields)
			}
			sees(t, old, lockdown("hq"))
		})
	}
}

// Nor does it help that a file has what was known a week ago.
func TestKept_OldStateDoesNotMakeAPurgedBucketKnown(t *testing.T) {
	t.Parallel()
	for heard, want := range map[time.Duration]bool{0: true, -7 * 24 * time.Hour: false} {
		s := natstest.Start(t)
		put(t, open(t, s), lockdown("hq"))
		purge(t, s)
		file := filepath.Join(t.TempDir(), "orders.json")
		at := time.Now().Add(heard).UTC().Format(time.RFC3339Nano)
		if err := os.WriteFile(file, []byte(`{"version":1,"written":"`+at+`","heard":"`+at+`","orders":[]}`), 0o600); err != nil {
			t.Fatal(err)
		}
		w := watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = file })
		follows(t, w)
		if all, known := w.Orders(); known != want || len(all) != 0 {
			t.Errorf("heard %s ago: %+v, known %v", -heard, all, known)
		}
	}
}

// Where an acknowledgement was lost, nobody may say that nothing was ordered, also
// if nobody answers afterwards; where nothing was sent, everybody may.
func TestBook_LostAcknowledgementIsUnconfirmed(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	js := jetStream(t, s, nats.CustomInboxPrefix("_INBOX"))
	b := open(t, s)
	stream, err := js.Stream(within(t, patience), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	// A stream that takes orders and acknowledges none, as one does that loses
	// its majority.
	cfg := stream.CachedInfo().Config
	cfg.NoAck = true
	if _, err := js.UpdateStream(within(t, patience), cfg); err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(3*time.Second, func() { _ = js.DeleteStream(context.Background(), "KV_"+bucket) })
	for _, give := range []func() error{
		func() error { _, err := b.Put(within(t, 6*time.Second), lockdown("hq")); return err },
	} {
		if err := give(); !errors.Is(err, orders.ErrUnconfirmed) {
			t.Errorf("%v does not say that it may be stored", err)
		}
	}
	if _, err := b.Put(within(t, time.Second), lockdown("hq")); err == nil || errors.Is(err, orders.ErrUnconfirmed) {
		t.Errorf("%v says that it may be stored", err)
	}
}

// makeAsToolsDo makes the bucket as other tools make one: roll-ups and purges of
// keys are taken.
func makeAsToolsDo(t *testing.T, s *natstest.Server) {
	t.Helper()
	makeBucket(t, jetStream(t, s))
}

func makeBucket(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	if _, err := js.CreateKeyValue(within(t, patience), jetstream.KeyValueConfig{Bucket: bucket, History: 10}); err != nil {
		t.Fatal(err)
	}
}

// The longest duration may have become shorter since, and a file is no bucket.
func TestKept_OverrideThatIsTooLongIsIgnored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	now := time.Now().UTC()
	for lasts, want := range map[time.Duration]int{24 * time.Hour: 2, 24*time.Hour + 1: 1} {
		o := override("hq")
		o.Since, o.Until = now, now.Add(lasts)
		file := filepath.Join(t.TempDir(), "orders.json")
		content := `{"version":1,"heard":"` + now.Format(time.RFC3339Nano) + `","orders":[{"kind":"lockdown","site":"branch"},` + written(o) + `]}`
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		w := watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = file })
		if all, known := w.Orders(); !known || len(all) != want {
			t.Errorf("that lasts %s: %+v, known %v", lasts, all, known)
		}
	}
}

// What lasts exactly as long as it may counts.
func TestWatch_AcceptsTheLongestOverride(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s)
	o := override("hq")
	o.Until = o.Since.Add(24 * time.Hour)
	put(t, open(t, s), o)
	sees(t, w, o)
}

// Two who order at once: the last one holds, for everybody, and lifting what was
// replaced lifts nothing.
func TestBook_LastOrderOfTwoOperatorsHolds(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s)
	one, other := open(t, s), open(t, s)
	var both sync.WaitGroup
	for _, b := range []*orders.Book{one, other} {
		both.Go(func() {
			for range 8 {
				put(t, b, lockdown("hq"))
				_, _ = b.Lift(within(t, patience), liftOf(lockdown("hq")))
			}
			put(t, b, lockdown("hq"))
		})
	}
	both.Wait()
	sees(t, w, lockdown("hq"))
	sees(t, watch(t, s), lockdown("hq"))
	lift(t, one, lockdown("hq"))
	sees(t, w)
	sees(t, watch(t, s))
}

// Whoever says to be a relay that obeys thousands of orders must not keep the one
// that there is from being lifted.
func TestBook_ManyInventedOrdersDoNotDelayALift(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s)
	b := open(t, s)
	put(t, b, lockdown("hq"))
	sees(t, w, lockdown("hq"))
	var invented []string
	for n := range 100_000 {
		invented = append(invented, fmt.Sprintf("0-%06d", n))
	}
	_, err := b.Lift(within(t, time.Second), liftOf(lockdown("hq")), invented...)
	if !errors.Is(err, orders.ErrUnconfirmed) || !strings.Contains(err.Error(), "of 100001 orders are lifted") {
		t.Errorf("%v does not say how far it came", err)
	}
	sees(t, w)
}

// Who gives a lockdown must not lose its answer among thousands of lines.
func TestBook_ManyInvalidEntriesAreSummarized(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := open(t, s)
	put(t, b, lockdown("hq"))
	kv := keys(t, s)
	for n := range 100 {
		if _, err := kv.PutString(within(t, patience), fmt.Sprintf("override.site.none-%d", n), "?"); err != nil {
			t.Fatal(err)
		}
	}
	all, err := b.List(within(t, patience))
	if len(all) != 1 || !errors.Is(err, orders.ErrInvalid) || strings.Count(err.Error(), "\n") != 10 || !strings.Contains(err.Error(), "90 more") {
		t.Errorf("%+v, %v", all, err)
	}
}

// With the shipped accounts no operator may create the bucket, and is told who may.
func TestBucket_OperatorWithoutPermissionCannotCreateIt(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(operatorNeeds, []string{inboxes}))
	_, err := orders.Open(within(t, patience), jetStream(t, s, asConfined), bucket, 1)
	if !errors.Is(err, visit.ErrDenied) || !strings.Contains(err.Error(), "no permission to create it") || !strings.Contains(err.Error(), "an administrator does") {
		t.Error(err)
	}
	team := jetStream(t, s, asTeam)
	makeBucket(t, team)
	endless(t, team)
	_, err = orders.Open(within(t, patience), jetStream(t, s, asConfined), bucket, 1)
	if err == nil || !strings.Contains(err.Error(), "--max-msgs-per-subject 10") {
		t.Error(err)
	}
}
