package relay

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

const visitorWaits = `{"event":"signin_before","date":"2026-11-18T12:00:00Z","data":{"firstName":"Ada","lastName":"Lovelace"}}`

func TestOrdersThatAreNotKnown(t *testing.T) {
	lockdown := visit.Order{Kind: visit.OrderLockdown, Site: "hq", Message: "Gas leak", Since: time.Now()}
	override := visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Since: time.Now(), Until: time.Now().Add(time.Hour)}
	nobody := func(r *rig) {
		r.broker.ask = func(context.Context, visit.Message) (visit.Decision, error) {
			return visit.Decision{}, visit.ErrNoDecider
		}
	}
	for name, c := range map[string]struct {
		strict  bool
		orders  []visit.Order
		change  func(*rig)
		want    string
		outcome string
	}{
		"a decider's own acceptance counts":         {false, nil, nil, "SUCCESS", "accepted"},
		"or it does not":                            {true, nil, nil, "REJECTED", "orders_unknown"},
		"an old lockdown holds":                     {false, []visit.Order{lockdown}, nil, "Gas leak", "lockdown"},
		"an old override lets nobody in":            {false, []visit.Order{override}, nobody, "REJECTED", "no_decider"},
		"an old override gives way to the deciders": {false, []visit.Order{override}, nil, "SUCCESS", "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(cfg *Config) { cfg.StrictOrders = c.strict })
			r.orders.unknown = true
			r.orders.give(c.orders...)
			if c.change != nil {
				c.change(r)
			}
			if body := r.post("/sine/lobby", visitorWaits).Body.String(); !strings.Contains(body, c.want) {
				t.Errorf("answered %s", body)
			}
			if !strings.Contains(r.log.String(), `"result":"`+c.outcome+`"`) {
				t.Errorf("the outcome is not %s:\n%s", c.outcome, r.log)
			}
		})
	}
}

// The record says who gave the order that decided, as NATS knows it.
func TestTheRecordNamesTheOrder(t *testing.T) {
	r := newRig(t)
	r.orders.give(visit.Order{Kind: visit.OrderLockdown, Site: "hq", Reason: "Zreason", By: "ada", User: "operator", Account: "VISITORS", ID: "X1", Since: time.Now()})
	r.post("/sine/lobby", visitorWaits)
	r.Settle(t.Context())
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	var rec visit.Record
	if len(r.broker.records) != 1 || json.Unmarshal(r.broker.records[0].Data, &rec) != nil || rec.Order == nil {
		t.Fatalf("records: %v", r.broker.records)
	}
	if o := rec.Order; o.ID != "X1" || o.User != "operator" || o.Account != "VISITORS" || o.By != "ada" {
		t.Errorf("%+v", o)
	}
	if strings.Contains(string(r.broker.records[0].Data), "Zreason") {
		t.Error("the record has a text")
	}
}
