package desk_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

// needs are what the desk's user must be allowed, as in deploy/nats/accounts.conf.
var needs = []string{
	"$JS.API.DIRECT.GET.VISITORS", "$JS.API.DIRECT.GET.VISITOR_DECISIONS", "$JS.API.DIRECT.GET.VISITOR_QUARANTINE", "$JS.API.DIRECT.GET.VISITOR_DESK",
	"visitors.v1.audit.*.*", "$JS.API.STREAM.CREATE.VISITOR_DESK", "$JS.API.STREAM.INFO.VISITOR_DESK", "$JS.API.STREAM.INFO.KV_VISITOR_ORDERS",
	"$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.*.$KV.VISITOR_ORDERS.>", "$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS.*",
	"$KV.VISITOR_ORDERS.lockdown.>", "$KV.VISITOR_ORDERS.override.>", "$SYS.REQ.USER.INFO", "$SRV.STATS.sine-relay", "$SRV.STATS.sine-relay-decider",
}

// work is each method, by its name.
func (o opened) work() map[string]func(context.Context) error {
	since := time.Now().Add(-time.Hour)
	return map[string]func(context.Context) error{
		"events": func(ctx context.Context) error {
			return o.Events(ctx, "", since, time.Time{}, func(visit.Event) error { return nil })
		},
		"records": func(ctx context.Context) error {
			return o.Records(ctx, "", "", since, time.Time{}, func(visit.Record) error { return nil })
		},
		"decisions": func(ctx context.Context) error {
			_, _, err := o.Decisions(ctx, since, time.Time{}, func(uint64, *visit.Record) {})
			return err
		},
		"records at": func(ctx context.Context) error {
			return o.RecordsAt(ctx, []uint64{1}, func(uint64, visit.Record) {})
		},
		"check-ins": func(ctx context.Context) error {
			_, _, err := o.CheckIns(ctx, since, time.Time{}, func(*visit.Event) {})
			return err
		},
		"event": func(ctx context.Context) error {
			_, err := o.Event(ctx, "hq", "e1", time.Now())
			if errors.Is(err, visit.ErrNotFound) {
				return nil
			}
			return err
		},
		"quarantine": func(ctx context.Context) error {
			return o.Quarantined(ctx, func(uint64, time.Time, visit.Quarantined) error { return nil })
		},
		"audit": func(ctx context.Context) error { return o.Audit(ctx, entry("hq", visit.ActionReveal, time.Now())) },
		"audits": func(ctx context.Context) error {
			return o.Audits(ctx, since, time.Time{}, func(visit.Audit) error { return nil })
		},
		"how full": func(ctx context.Context) error {
			if _, err := o.AuditFilled(ctx); !errors.Is(err, visit.ErrStreamMissing) { // it may be made at this moment
				return err
			}
			return nil
		},
		"relays":   func(ctx context.Context) error { _, err := o.Relays(ctx); return err },
		"deciders": func(ctx context.Context) error { _, err := o.Deciders(ctx); return err },
		"orders": func(ctx context.Context) error {
			// On a busy machine an order may have been stored twice, which counts once.
			if _, err := o.Orders(ctx); !errors.Is(err, orders.ErrInvalid) {
				return err
			}
			return nil
		},
		"lockdown": func(ctx context.Context) error {
			_, err := o.GiveOrder(ctx, visit.Order{Kind: visit.OrderLockdown, Site: "hq"})
			return err
		},
		"override": func(ctx context.Context) error {
			_, err := o.GiveOrder(ctx, visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "test", Until: time.Now().Add(time.Minute)})
			return err
		},
		"lift": func(ctx context.Context) error {
			_, err := o.LiftOrder(ctx, visit.Lift{Kind: visit.OrderLockdown, Site: "lab", Lifts: "LOST"}, "LOST")
			return err
		},
	}
}

// all does everything at once, a few times over, and returns the first error of each
// method.
func (o opened) all(t *testing.T) map[string]error {
	t.Helper()
	var mu sync.Mutex
	failed := map[string]error{}
	var running sync.WaitGroup
	for name, do := range o.work() {
		for range 2 {
			running.Go(func() {
				err := do(within(t, patience))
				mu.Lock()
				defer mu.Unlock()
				if failed[name] == nil {
					failed[name] = err
				}
			})
		}
	}
	running.Wait()
	return failed
}

func TestDesk_NeedsNoMorePermissions(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(needs, []string{"_INBOX.>"}))
	relayOn(t, s)
	for name, err := range deskOn(t, s).all(t) {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What NATS refuses is said to whom it happens, with the subject, and to nobody else:
// they share one connection.
func TestDesk_ARefusalConcernsOnlyWhoNeedsTheSubject(t *testing.T) {
	t.Parallel()
	for missing, concerned := range map[string][]string{
		"$JS.API.DIRECT.GET.VISITORS":                   {"check-ins", "event", "events"},
		"$JS.API.DIRECT.GET.VISITOR_DECISIONS":          {"decisions", "records", "records at"},
		"$JS.API.DIRECT.GET.VISITOR_QUARANTINE":         {"quarantine"},
		"$JS.API.DIRECT.GET.VISITOR_DESK":               {"audits"},
		"visitors.v1.audit.*.*":                         {"audit"},
		"$JS.API.STREAM.INFO.VISITOR_DESK":              {"how full"},
		"$KV.VISITOR_ORDERS.lockdown.>":                 {"lift", "lockdown"},
		"$KV.VISITOR_ORDERS.override.>":                 {"override"},
		"$SRV.STATS.sine-relay":                         {"relays"},
		"$SRV.STATS.sine-relay-decider":                 {"deciders"},
		"$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS.*": {"lift", "orders"},
		"$SYS.REQ.USER.INFO":                            nil,
	} {
		t.Run(missing, func(t *testing.T) { // one after another: each has much at once already
			rest := slices.DeleteFunc(slices.Clone(needs), func(n string) bool { return n == missing })
			s := natstest.Start(t, confined(rest, []string{"_INBOX.>"}))
			relayOn(t, s)
			team := openDesk(t, s, "team")
			connected(t, team)
			for name, err := range team.all(t) { // so that there is something to read
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			begun := time.Now()
			subject := strings.TrimSuffix(strings.TrimSuffix(missing, "*.*"), ">")
			for name, err := range deskOn(t, s).all(t) {
				switch denied := slices.Contains(concerned, name); {
				case denied && (!errors.Is(err, visit.ErrDenied) || !strings.Contains(err.Error(), subject)):
					t.Errorf("%s is refused %s: %v", name, missing, err)
				case !denied && err != nil:
					t.Errorf("%s is not concerned: %v", name, err)
				}
			}
			if took := time.Since(begun); took > patience/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestDesk_AnInboxThatIsRefusedIsNamed(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(needs, nil))
	relayOn(t, s)
	team := openDesk(t, s, "team")
	connected(t, team)
	for name, err := range team.all(t) {
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for name, err := range deskOn(t, s).all(t) {
		if !errors.Is(err, visit.ErrDenied) || !strings.Contains(err.Error(), "_INBOX.>") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDesk_AStreamThatIsMissingIsNamed(t *testing.T) {
	t.Parallel()
	d := deskOn(t, natstest.Start(t))
	for name, stream := range map[string]string{
		"events": "VISITORS", "event": "VISITORS", "check-ins": "VISITORS", "records": "VISITOR_DECISIONS", "decisions": "VISITOR_DECISIONS", "records at": "VISITOR_DECISIONS", "quarantine": "VISITOR_QUARANTINE", "orders": "VISITOR_ORDERS",
	} {
		err := d.work()[name](within(t, patience))
		if !errors.Is(err, visit.ErrStreamMissing) || !strings.Contains(err.Error(), stream) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
