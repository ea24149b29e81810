package orders_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

func TestWatch_OrdersAreUnknownAfterMaxAge(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s, func(c *orders.WatchConfig) { c.MaxAge = time.Second })
	put(t, open(t, s), lockdown("hq"))
	sees(t, w, lockdown("hq"))
	s.Stop()
	eventually(t, "it is not known any more", func() bool { _, known := w.Orders(); return !known })
	if all, _ := w.Orders(); !slices.Equal(plain(all), []visit.Order{lockdown("hq")}) {
		t.Errorf("what was known is forgotten: %+v", all)
	}
	if age := w.Status().Age; age < time.Second {
		t.Errorf("it is %s old", age)
	}
	s.Restart()
	sees(t, w, lockdown("hq"))
}

// A quiet bucket is read again long before what is known is too old.
func TestWatch_RereadingKeepsOrdersKnown(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	w := watch(t, s, func(c *orders.WatchConfig) { c.MaxAge = 3 * time.Second })
	sees(t, w)
	first := w.Status().AsOf
	eventually(t, "it was read three times more", func() bool {
		if _, known := w.Orders(); !known {
			t.Fatal("it was not known for a while")
		}
		return w.Status().AsOf.Sub(first) > 3*time.Second
	})
}

func TestKept_OldStateIsNotKnown(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	s.Stop()
	for name, c := range map[string]struct {
		heard string
		known bool
	}{
		"a moment ago":      {time.Now().UTC().Format(time.RFC3339Nano), true},
		"an hour ago":       {time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano), false},
		"by another clock":  {time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano), false},
		"by an older relay": {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			heard := ""
			if c.heard != "" {
				heard = `"heard":"` + c.heard + `",`
			}
			file := filepath.Join(t.TempDir(), "orders.json")
			content := `{"version":1,"written":"2026-01-01T00:00:00Z",` + heard + `"orders":[{"kind":"lockdown","site":"hq"}]}`
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			w := watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = file })
			if all, known := w.Orders(); known != c.known || len(all) != 1 || !all[0].InForce(time.Now()) {
				t.Errorf("%+v, known %v", all, known)
			}
		})
	}
}

// purge takes the whole stream's messages away.
func purge(t *testing.T, s *natstest.Server) {
	t.Helper()
	stream, err := jetStream(t, s).Stream(within(t, patience), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(within(t, patience)); err != nil {
		t.Fatal(err)
	}
}

func TestBucket_ThatLostEntriesLeavesOrdersUnknown(t *testing.T) {
	t.Parallel()
	for name, forget := range map[string]func(*testing.T, *natstest.Server){
		"purged": purge,
		"a key purged": func(t *testing.T, s *natstest.Server) {
			if err := keys(t, s).Purge(within(t, patience), "lockdown.site.hq"); err != nil {
				t.Fatal(err)
			}
		},
		"filled": func(t *testing.T, s *natstest.Server) {
			for range 12 {
				if _, err := keys(t, s).PutString(within(t, patience), "lockdown.site.hq", `{"stream":"Q","seq":2}`); err != nil {
					t.Fatal(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			makeAsToolsDo(t, s)
			b := open(t, s)
			put(t, b, lockdown("hq"))
			old := watch(t, s, readSoon)
			sees(t, old, lockdown("hq"))
			forget(t, s)
			fresh := watch(t, s, readSoon)
			follows(t, fresh)
			if all, known := fresh.Orders(); known || len(all) != 0 || len(fresh.Status().Doubt) != 1 {
				t.Errorf("%+v, known %v, %+v", all, known, fresh.Status())
			}
			if _, known := fresh.OrdersAt("hq"); known {
				t.Error("where a lockdown may have been, the orders are said to be known")
			}
			if _, known := fresh.OrdersAt("branch"); known == (name == "purged") {
				t.Errorf("at another site, known is %v", known)
			}
			sees(t, old, lockdown("hq"))
			if _, err := b.Lift(within(t, patience), liftOf(lockdown("hq")), idIn(t, old, "hq")); !errors.Is(err, orders.ErrNotInForce) {
				t.Error(err)
			}
			sees(t, old)
			sees(t, fresh)
		})
	}
}

// Whoever created the bucket, or finds that nothing was ever stored beside it,
// knows that nobody gave an order.
func TestBucket_AbsentLeavesOrdersUnknownUnlessUnused(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	unused := func(answer bool) func(*orders.WatchConfig) {
		return func(c *orders.WatchConfig) {
			c.Unused = func(context.Context) (bool, error) { return answer, nil }
		}
	}
	used := watch(t, s, unused(false))
	eventually(t, "it says that the bucket was deleted", func() bool {
		err := used.Status().Err
		return err != nil && strings.Contains(err.Error(), "was deleted")
	})
	if _, known := used.Orders(); known {
		t.Error("an absent bucket is taken for knowledge")
	}
	sees(t, watch(t, s, unused(true)))
	sees(t, used)
	// Deleted while it runs, it is not made again by one who knew it.
	if err := jetStream(t, s).DeleteKeyValue(within(t, patience), bucket); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says so again", func() bool {
		err := used.Status().Err
		return err != nil && strings.Contains(err.Error(), "was deleted")
	})
}

func TestBucket_UnfitOneIsReported(t *testing.T) {
	t.Parallel()
	fit := jetstream.StreamConfig{
		Name: "KV_" + bucket, Subjects: []string{"$KV." + bucket + ".>"}, Storage: jetstream.FileStorage, Discard: jetstream.DiscardNew,
		MaxMsgsPerSubject: 10, MaxMsgSize: 16 << 10,
	}
	for name, c := range map[string]struct {
		change func(*jetstream.StreamConfig)
		unfit  string // part of the fault, or empty
		drift  string // the field, or empty
	}{
		"as it is created":          {func(*jetstream.StreamConfig) {}, "", ""},
		"with a TTL":                {func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour }, "max_age is 1h0m0s", ""},
		"in memory":                 {func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage }, "storage is memory", ""},
		"that drops the oldest":     {func(c *jetstream.StreamConfig) { c.Discard, c.MaxMsgs = jetstream.DiscardOld, 100 }, "discard is old", ""},
		"with too little history":   {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = 1 }, "", "max_msgs_per_subject"},
		"with a limit of bytes":     {func(c *jetstream.StreamConfig) { c.MaxBytes = 1 << 20 }, "", "max_bytes"},
		"with a limit of entries":   {func(c *jetstream.StreamConfig) { c.MaxMsgs = 1000 }, "", "max_msgs"},
		"that takes short ones":     {func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 }, "", "max_msg_size"},
		"that keeps every entry":    {func(c *jetstream.StreamConfig) { c.MaxMsgsPerSubject = -1 }, "max_msgs_per_subject is unlimited", ""},
		"that discards without one": {func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld }, "", "discard"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			cfg := fit
			c.change(&cfg)
			if _, err := jetStream(t, s).CreateStream(within(t, patience), cfg); err != nil {
				t.Fatal(err)
			}
			if cfg.MaxMsgsPerSubject > 0 {
				put(t, open(t, s), lockdown("hq"))
			} else if _, err := orders.Open(within(t, patience), jetStream(t, s), bucket, 1); err == nil {
				t.Error("a command opens it")
			}
			w := watch(t, s)
			follows(t, w)
			st := w.Status()
			all, known := w.Orders()
			if given := cfg.MaxMsgsPerSubject > 0; (len(all) == 1) != given || known != (c.unfit == "") {
				t.Errorf("%+v, known %v", all, known)
			}
			if (st.Unfit != nil) != (c.unfit != "") || st.Unfit != nil && !strings.Contains(st.Unfit.Error(), c.unfit) {
				t.Errorf("unfit: %v", st.Unfit)
			}
			if c.unfit == "" && (len(st.Drift) > 0) != (c.drift != "") || c.drift != "" && st.Drift[0].Field != c.drift {
				t.Errorf("drift: %+v", st.Drift)
			}
		})
	}
}

// Entries of sites that nobody has cost nothing.
func TestWatch_IgnoresManyEntriesOfOtherSites(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := open(t, s)
	put(t, b, lockdown("hq"))
	nc := jetStream(t, s).Conn()
	const foreign = 20000
	for n := range foreign {
		if err := nc.Publish(fmt.Sprintf("$KV.%s.lockdown.site.none-%d", bucket, n), []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	stream, err := jetStream(t, s).Stream(within(t, patience), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "they are stored", func() bool {
		info, err := stream.Info(within(t, patience))
		return err == nil && info.State.Msgs == foreign+1
	})
	w := watch(t, s, readSoon, func(c *orders.WatchConfig) { c.Sites = []string{"hq"} })
	began := time.Now()
	sees(t, w, lockdown("hq"))
	t.Logf("known after %s", time.Since(began))
	if st := w.Status(); st.Foreign != foreign || st.InvalidCount != 0 {
		t.Errorf("%+v", st)
	}
	// Sites change while the relay runs.
	put(t, b, lockdown("branch"))
	w.SetSites([]string{"hq", "branch"})
	if _, known := w.Orders(); known {
		t.Error("the orders of a new site are known at once")
	}
	sees(t, w, lockdown("branch"), lockdown("hq"))
	w.SetSites([]string{"branch"})
	sees(t, w, lockdown("branch"))
}

// What NATS itself puts under a key when somebody names it as the reply subject.
func TestEntry_CopiesDoNotCount(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := open(t, s)
	js := jetStream(t, s)
	nc := js.Conn()
	if _, err := js.CreateStream(within(t, patience), jetstream.StreamConfig{Name: "Q", Subjects: []string{"q.*"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s)
	sees(t, w)
	request := func(subject, reply, body string) {
		t.Helper()
		if err := nc.PublishMsg(&nats.Msg{Subject: subject, Reply: reply, Data: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
	stored := func(stream string) uint64 {
		found, err := js.Stream(within(t, patience), stream)
		if err != nil {
			t.Fatal(err)
		}
		return found.CachedInfo().State.LastSeq
	}
	adds := func(stream string, do func()) {
		t.Helper()
		before := stored(stream)
		do()
		eventually(t, "it is stored", func() bool { return stored(stream) > before })
	}
	pull := func(filter, reply string) {
		t.Helper()
		c, err := js.CreateConsumer(within(t, patience), "KV_"+bucket, jetstream.ConsumerConfig{FilterSubject: filter, AckPolicy: jetstream.AckNonePolicy})
		if err != nil {
			t.Fatal(err)
		}
		request("$JS.API.CONSUMER.MSG.NEXT.KV_"+bucket+"."+c.CachedInfo().Name, reply, "10")
	}
	const key = "$KV." + bucket + "."
	// An override, written where lockdowns may be written, gets into another
	// stream and by a direct get under its own key.
	o := override("hq")
	o.Since = time.Now().UTC()
	o.Until = o.Since.Add(time.Hour)
	if _, err := keys(t, s).PutString(within(t, patience), "lockdown.site.hq", written(o)); err != nil {
		t.Fatal(err)
	}
	adds("Q", func() { pull(key+"lockdown.site.hq", "q.hq") })
	adds("KV_"+bucket, func() { request("$JS.API.DIRECT.GET.Q", key+"override.site.hq", `{"seq":1}`) })
	eventually(t, "both are reported", func() bool { return w.Status().InvalidCount == 2 })
	sees(t, w)

	// Old entries are delivered anew, under their own keys.
	put(t, b, lockdown("hq"), override("branch"))
	lift(t, b, lockdown("hq"))
	lift(t, b, override("branch"))
	put(t, b, lockdown("hq"))
	sees(t, w, lockdown("hq"))
	for _, reply := range []string{"lockdown.site.hq", "override.site.branch"} {
		for range 4 {
			adds("KV_"+bucket, func() { pull(key+reply, key+reply) })
		}
	}
	for _, ask := range []string{"$JS.API.STREAM.INFO.Q", "$JS.API.INFO", "$SYS.REQ.USER.INFO", "q.z"} {
		adds("KV_"+bucket, func() { request(ask, key+"lockdown.all", "") })
	}
	adds("KV_"+bucket, func() { request("$JS.API.STREAM.MSG.GET.Q", key+"lockdown.all", `{"seq":1}`) })
	eventually(t, "what came is read", func() bool { return w.Status().Revision == stored("KV_"+bucket) })
	sees(t, w, lockdown("hq"))
	sees(t, watch(t, s), lockdown("hq"))
}
