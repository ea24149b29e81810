package ledger

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// ChangeLogger logs what begins and ends.
type ChangeLogger struct {
	Log     *slog.Logger
	inForce map[string]visit.Order // by key, as logged
	faults  map[string]string      // by key, as logged
}

// Tell logs how l differs from what was logged before. Time alone makes a
// difference too.
func (h *ChangeLogger) Tell(l Ledger, source string, now time.Time) {
	inForce := map[string]visit.Order{}
	for key, r := range l {
		if r.Order != nil && r.Order.InForce(now) {
			inForce[key] = *r.Order
		}
	}
	for _, key := range slices.Sorted(maps.Keys(h.inForce)) {
		if _, still := inForce[key]; !still {
			o := h.inForce[key]
			h.Log.Info("standing order ended", append(terms(o), "why", l.whyEnded(key, o, now))...)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(inForce)) {
		if o := inForce[key]; h.inForce[key] != o {
			h.Log.Warn("standing order in force", append(terms(o), "message", o.Message, "reason", o.Reason, "source", source)...)
		}
	}
	h.inForce = inForce
	h.tellFaults(l)
}

func (h *ChangeLogger) tellFaults(l Ledger) {
	faults := map[string]string{}
	for key, r := range l {
		switch {
		case r.Lost:
			faults[key] = "it is not in the bucket any more, and stays in force until it is lifted"
		case r.Doubt:
			faults[key] = "no entry is valid, and a lockdown may have been evicted from the bucket: give it again, or lift it"
		case len(r.Faults) > 0:
			faults[key] = r.Faults[0].Error()
		}
	}
	for _, key := range slices.Sorted(maps.Keys(faults)) {
		if faults[key] != h.faults[key] {
			h.Log.Warn("invalid entry in the bucket of standing orders", "key", key, "err", faults[key])
		}
	}
	h.faults = faults
}

func terms(o visit.Order) []any {
	until := "lifted"
	if !o.Until.IsZero() {
		until = o.Until.Format(time.RFC3339)
	}
	return []any{"kind", o.Kind, "site", o.Site, "by", o.By, "user", o.User, "id", o.Identity(), "until", until}
}

// whyEnded says why an order that was in force is not any more.
func (l Ledger) whyEnded(key string, o visit.Order, now time.Time) string {
	r, there := l[key]
	switch {
	case !o.InForce(now):
		return "its time is over"
	case r.Order != nil:
		return "replaced"
	case r.isEnded(o.Identity()):
		return "lifted"
	case there && r.Entries > 0:
		return "its entry does not count any more"
	default:
		return "it is not in the bucket any more"
	}
}
