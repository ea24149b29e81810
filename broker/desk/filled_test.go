package desk_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

const filledRatio = "sine_relay_desk_audit_filled_ratio"

// auditOf has a stream for the audit, with entries until it refuses one, or until there
// are so many.
func auditOf(t *testing.T, s *natstest.Server, cfg jetstream.StreamConfig, most int) {
	t.Helper()
	cfg.Name, cfg.Subjects, cfg.AllowDirect = visit.DefaultAuditStream, []string{"visitors.v1.audit.>"}, true
	if _, err := s.JetStream().CreateStream(within(t, patience), cfg); err != nil {
		t.Fatal(err)
	}
	d := deskOn(t, s)
	for range most {
		err := d.Audit(within(t, patience), entry("hq", visit.ActionExport, time.Now()))
		if errors.Is(err, visit.ErrStreamFull) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAudit_SaysHowFullItsStreamIs(t *testing.T) {
	t.Parallel()
	const kib = 1 << 10
	for name, c := range map[string]struct {
		cfg      jetstream.StreamConfig
		entries  int
		from, to float64
	}{
		"it has room":                 {jetstream.StreamConfig{MaxBytes: 64 * kib, Discard: jetstream.DiscardNew}, 10, 0.01, 0.5},
		"it is full":                  {jetstream.StreamConfig{MaxBytes: 8 * kib, Discard: jetstream.DiscardNew}, 100, 0.8, 1},
		"it has as many as may be":    {jetstream.StreamConfig{MaxMsgs: 10, Discard: jetstream.DiscardNew}, 9, 0.9, 0.9},
		"it has no limit":             {jetstream.StreamConfig{Discard: jetstream.DiscardNew}, 10, 0, 0},
		"it makes room for newcomers": {jetstream.StreamConfig{MaxBytes: 8 * kib, Discard: jetstream.DiscardOld}, 20, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			auditOf(t, s, c.cfg, c.entries)
			d := deskOn(t, s) // looks by itself
			eventually(t, "the metric says it", func() bool {
				part, known := d.gauged(t, filledRatio)
				return known && part >= c.from && part <= c.to
			})
			if part, err := d.AuditFilled(within(t, patience)); err != nil || part < c.from || part > c.to {
				t.Errorf("%v: %v", part, err)
			}
			if warns := strings.Count(d.log.String(), "nearly full"); warns > 1 || (warns == 1) != (c.to > 0.5) {
				t.Errorf("logged: %s", d.log)
			}
		})
	}
}

func TestAudit_HowFullItsStreamIsMayBeUnknown(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	d := deskOn(t, s)
	if _, err := d.AuditFilled(within(t, patience)); !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("without a stream: %v", err)
	}
	auditOf(t, s, jetstream.StreamConfig{}, 1)
	if _, err := d.AuditFilled(within(t, patience)); err != nil {
		t.Error(err)
	}
	s.Stop()
	eventually(t, "the desk has noticed", func() bool { return d.Connected() != nil })
	if _, err := d.AuditFilled(within(t, patience)); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("without NATS: %v", err)
	}
	if part, known := d.gauged(t, filledRatio); known {
		t.Errorf("the metric still says %v", part)
	}
}

// Whoever runs the embedded NATS on a small volume reads what is in the way.
func TestAudit_ThatThereIsNoRoomForItsStreamIsSaid(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, func(o *server.Options) { o.JetStreamMaxStore = 100 << 20 })
	err := deskOn(t, s).Audit(within(t, patience), entry("hq", visit.ActionReveal, time.Now()))
	if err == nil || !strings.Contains(err.Error(), "no room for the 256 MiB") {
		t.Error(err)
	}
}
