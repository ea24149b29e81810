package orders_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// written is an order as somebody else's program would write it.
func written(o visit.Order) string {
	data, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	return string(data)
}

func TestEntry_InvalidOneIsReportedAndChangesNothing(t *testing.T) {
	t.Parallel()
	now := func(change func(*visit.Order), o visit.Order) string {
		o.Since = time.Now().UTC()
		o.Until = o.Since.Add(time.Hour)
		change(&o)
		return written(o)
	}
	same := func(*visit.Order) {}
	for name, c := range map[string]struct {
		key, value string
		fault      string
	}{
		"a lockdown that is not JSON":            {"lockdown.site.hq", "Zsecret", "not a valid order in JSON"},
		"an empty lockdown of all sites":         {"lockdown.all", "", "not a valid order in JSON"},
		"an answer of JetStream":                 {"lockdown.all", `{"type":"io.nats.jetstream.api.v1.stream_info_response","total":0}`, "kind"},
		"an acknowledgement":                     {"lockdown.site.hq", `{"stream":"Q","seq":2}`, "kind"},
		"a decider's answer":                     {"lockdown.site.hq", `{"decision":"accept"}`, "kind"},
		"an error":                               {"lockdown.site.hq", `-ERR`, "not a valid order in JSON"},
		"a lockdown that is not UTF-8":           {"lockdown.site.hq", "{\"kind\":\"lockdown\",\"site\":\"hq\",\"by\":\"\xff\"}", "not a valid order in JSON"},
		"a lockdown that fails its check":        {"lockdown.site.hq", `{"kind":"lockdown","site":"hq","message":"a\nb"}`, "message"},
		"a lockdown without a time":              {"lockdown.site.hq", `{"kind":"lockdown","site":"hq"}`, "no time at which it was given"},
		"a lockdown under another site's key":    {"lockdown.site.hq", now(same, lockdown("branch")), "lockdown.site.branch"},
		"an end after the year 9999":             {"override.site.hq", `{"kind":"override","site":"hq","reason":"x","since":"2026-01-01T00:00:00Z","until":"9999-12-31T23:59:59-10:00"}`, "years 0 to 9999"},
		"an override under a lockdown's key":     {"lockdown.site.hq", now(same, override("hq")), "override.site.hq"},
		"an override that is not JSON":           {"override.site.hq", "Zsecret", "not a valid order in JSON"},
		"an override without an end":             {"override.site.hq", `{"kind":"override","site":"hq","reason":"x"}`, "requires a time"},
		"an override of a hundred years":         {"override.site.hq", now(func(o *visit.Order) { o.Until = o.Since.AddDate(100, 0, 0) }, override("hq")), "the maximum is 24h"},
		"an override of long ago":                {"override.site.hq", now(func(o *visit.Order) { o.Since = o.Since.Add(-10 * time.Second) }, override("hq")), "copy of an old order"},
		"an override of the future":              {"override.site.hq", now(func(o *visit.Order) { o.Since = o.Since.Add(30 * time.Minute) }, override("hq")), "copy of an old order"},
		"a lift of long ago":                     {"lockdown.site.hq", `{"kind":"lockdown","site":"hq","lifts":"x","since":"2026-01-01T00:00:00Z"}`, "copy of an old order"},
		"a lift that names nothing":              {"lockdown.site.hq", `{"kind":"lockdown","site":"hq","lifts":""}`, "id of the order"},
		"a lift under another key":               {"lockdown.all", `{"kind":"lockdown","site":"hq","lifts":"x"}`, "belongs under the key"},
		"an id that is none":                     {"lockdown.site.hq", now(func(o *visit.Order) { o.ID = "a b" }, lockdown("hq")), `"id"`},
		"a lockdown under an override's key":     {"override.site.hq", now(same, lockdown("hq")), "lockdown.site.hq"},
		"a key that stands for no order":         {"lockdown.hq", `{"kind":"lockdown","site":"hq"}`, "key"},
		"a key of a kind that is not known":      {"drill.site.hq", `{"kind":"drill","site":"hq"}`, "key"},
		"a key with more than a site behind it":  {"lockdown.site.hq.gate", `{"kind":"lockdown","site":"hq"}`, "key"},
		"a key of a site that can have no name":  {"lockdown.site.h=q", `{"kind":"lockdown","site":"h=q"}`, "key"},
		"a value of another type under a locked": {"lockdown.site.hq", `["lockdown"]`, "not a valid order in JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			b := open(t, s)
			var log logtest.Buffer
			empty := watch(t, s, into(&log))
			sees(t, empty)
			kv := keys(t, s)
			if _, err := kv.PutString(within(t, patience), c.key, c.value); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the entry is reported", func() bool {
				return len(empty.Status().Invalid) == 1 && strings.Contains(log.String(), c.key)
			})
			fault := empty.Status().Invalid[0]
			if text := fault.Error(); !errors.Is(fault, orders.ErrInvalid) || !strings.Contains(text, c.key) || !strings.Contains(text, c.fault) {
				t.Errorf("%v, want something about %s", fault, c.fault)
			}
			if strings.Contains(log.String()+fault.Error(), "Zsecret") {
				t.Errorf("what somebody wrote got out: %v\n%s", fault, log.String())
			}
			sees(t, empty) // it locks no door and opens none

			// What was in force under a key stays in force.
			real := []visit.Order{lockdown(visit.AllSites), lockdown("hq"), override("hq")}
			put(t, b, real...)
			sees(t, empty, real...)
			if _, err := kv.PutString(within(t, patience), c.key, c.value); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the entry is reported again", func() bool { return len(empty.Status().Invalid) > 0 && empty.Status().Revision >= 5 })
			sees(t, empty, real...)
			sees(t, watch(t, s), real...)
			if listed, err := b.List(within(t, patience)); !errors.Is(err, orders.ErrInvalid) || !slices.Equal(plain(listed), real) {
				t.Errorf("listed are %+v, %v", listed, err)
			}
		})
	}
}

// keys is the bucket for those who write what they like.
func keys(t *testing.T, s *natstest.Server) jetstream.KeyValue {
	t.Helper()
	kv, err := jetStream(t, s).KeyValue(within(t, patience), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// Whoever lifts what is none has seen what is there.
func TestEntry_UnreadableLockdownIsLifted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	b := open(t, s)
	if _, err := keys(t, s).PutString(within(t, patience), "lockdown.site.hq", "closed!"); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s)
	eventually(t, "it is reported", func() bool { return w.Status().InvalidCount == 1 })
	if _, err := b.Lift(within(t, patience), liftOf(lockdown("hq"))); !errors.Is(err, orders.ErrNotInForce) {
		t.Fatal(err)
	}
	eventually(t, "it is not reported any more", func() bool { return w.Status().InvalidCount == 0 })
	sees(t, w)
}

// Fields that a later version adds are no fault.
func TestEntry_OfALaterVersionIsAccepted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	open(t, s)
	value := `{"kind":"lockdown","site":"hq","gates":["north"],"since":"` + time.Now().UTC().Format(time.RFC3339Nano) + `"}`
	if _, err := keys(t, s).PutString(within(t, patience), "lockdown.site.hq", value); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s)
	sees(t, w, visit.Order{Kind: visit.OrderLockdown, Site: "hq", Since: begun})
	if faults := w.Status().Invalid; len(faults) != 0 {
		t.Error(faults)
	}
	// One without an id, as earlier versions gave it, is lifted like any other.
	lift(t, open(t, s), lockdown("hq"))
	sees(t, w)
}
