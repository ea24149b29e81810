package orders_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/brokertest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

func TestEntriesThatSomebodyElseWrote(t *testing.T) {
	t.Parallel()
	elsewhere, err := json.Marshal(lockdown("branch"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key, value string
		locks      string // the site that counts as locked, or empty
		fault      string
	}{
		"a lockdown that is not JSON":            {"lockdown.site.hq", "Zsecret", "hq", "not the JSON"},
		"an empty lockdown of all sites":         {"lockdown.all", "", visit.AllSites, "not the JSON"},
		"a lockdown that is not UTF-8":           {"lockdown.site.hq", "{\"kind\":\"lockdown\",\"site\":\"hq\",\"by\":\"\xff\"}", "hq", "not the JSON"},
		"a lockdown that fails its check":        {"lockdown.site.hq", `{"kind":"lockdown","site":"hq","message":"a\nb"}`, "hq", "message"},
		"a lockdown under another site's key":    {"lockdown.site.hq", string(elsewhere), "hq", "lockdown.site.branch"},
		"an end after the year 9999":             {"override.site.hq", `{"kind":"override","site":"hq","reason":"x","since":"2026-01-01T00:00:00Z","until":"9999-12-31T23:59:59-10:00"}`, "", "years 0 to 9999"},
		"an override under a lockdown's key":     {"lockdown.site.hq", `{"kind":"override","site":"hq","reason":"x","until":"2999-01-01T00:00:00Z"}`, "hq", "override.site.hq"},
		"an override that is not JSON":           {"override.site.hq", "Zsecret", "", "not the JSON"},
		"an override without an end":             {"override.site.hq", `{"kind":"override","site":"hq","reason":"x"}`, "", "needs a time"},
		"a lockdown under an override's key":     {"override.site.hq", `{"kind":"lockdown","site":"hq"}`, "", "lockdown.site.hq"},
		"a key that stands for no order":         {"lockdown.hq", `{"kind":"lockdown","site":"hq"}`, "", "key"},
		"a key of a kind that is not known":      {"drill.site.hq", `{"kind":"drill","site":"hq"}`, "", "key"},
		"a key with more than a site behind it":  {"lockdown.site.hq.gate", `{"kind":"lockdown","site":"hq"}`, "", "key"},
		"a key of a site that can have no name":  {"lockdown.site.h=q", `{"kind":"lockdown","site":"h=q"}`, "", "key"},
		"a value of another type under a locked": {"lockdown.site.hq", `["lockdown"]`, "hq", "not the JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := brokertest.Start(t)
			b := open(t, s)
			put(t, b, override("yard"))
			var log buffer
			w := watch(t, s, log.into)
			sees(t, w, override("yard"))
			kv := keys(t, s)
			if _, err := kv.PutString(within(t, patience), c.key, c.value); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the entry is reported", func() bool {
				return len(w.Status().Invalid) == 1 && strings.Contains(log.String(), c.key)
			})
			fault := w.Status().Invalid[0]
			if text := fault.Error(); !errors.Is(fault, orders.ErrInvalid) || !strings.Contains(text, c.key) || !strings.Contains(text, c.fault) {
				t.Errorf("%v, want something about %s", fault, c.fault)
			}
			if strings.Contains(log.String()+fault.Error(), "Zsecret") {
				t.Errorf("what somebody wrote got out: %v\n%s", fault, log.String())
			}
			all, _ := w.Orders()
			if locked := lockedBesides(t, all, override("yard")); locked != c.locks {
				t.Errorf("locked is %q, want %q", locked, c.locks)
			}
			if listed, err := b.List(within(t, patience)); !errors.Is(err, orders.ErrInvalid) || !slices.Equal(listed, all) {
				t.Errorf("listed are %+v, %v", listed, err)
			}
			if err := kv.Delete(within(t, patience), c.key); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is gone", func() bool { return len(w.Status().Invalid) == 0 })
			sees(t, w, override("yard"))
		})
	}
}

// keys is the bucket for those who write what they like.
func keys(t *testing.T, s *brokertest.Server) jetstream.KeyValue {
	t.Helper()
	kv, err := jetStream(t, s).KeyValue(within(t, patience), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return kv
}

// lockedBesides returns the site of the lockdown that is there besides another
// order, or nothing.
func lockedBesides(t *testing.T, all []visit.Order, other visit.Order) string {
	t.Helper()
	rest := slices.DeleteFunc(slices.Clone(all), func(o visit.Order) bool { return o == other })
	if len(rest) == 0 {
		return ""
	}
	o := rest[0]
	if len(rest) > 1 || o.Kind != visit.OrderLockdown || o.Message != "" || !o.Until.IsZero() || o.Since.IsZero() || o.Check() != nil {
		t.Errorf("besides there are %+v", rest)
	}
	return o.Site
}

func TestAnUnreadableLockdownIsLifted(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	b := open(t, s)
	if _, err := keys(t, s).PutString(within(t, patience), "lockdown.site.hq", "closed!"); err != nil {
		t.Fatal(err)
	}
	lift(t, b, lockdown("hq"))
	w := watch(t, s)
	sees(t, w)
}

// Fields that a later version adds are no fault.
func TestAnOrderOfALaterVersion(t *testing.T) {
	t.Parallel()
	s := brokertest.Start(t)
	open(t, s)
	if _, err := keys(t, s).PutString(within(t, patience), "lockdown.site.hq", `{"kind":"lockdown","site":"hq","gates":["north"]}`); err != nil {
		t.Fatal(err)
	}
	w := watch(t, s)
	sees(t, w, visit.Order{Kind: visit.OrderLockdown, Site: "hq"})
	if faults := w.Status().Invalid; len(faults) != 0 {
		t.Error(faults)
	}
}
