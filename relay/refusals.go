package relay

import (
	"log/slog"
	"sync"
	"time"
)

// refusal is why a call was not let in, and the network that it came from.
type refusal struct{ reason, from string }

// How many refusals of an integration are logged one by one for the same reason,
// and in what time. Anybody can call: each further one costs no line of its own.
const (
	refusalsShown = 3
	refusalWindow = time.Minute
)

// refusals keeps those who have no key from filling the log. What it remembers is
// bounded by the integrations and the reasons, whoever calls.
type refusals struct {
	log    *slog.Logger
	window time.Duration

	mu   sync.Mutex
	open map[refusalKind]*refusalSum
}

type refusalKind struct{ integration, reason string }

// refusalSum is what came within a window.
type refusalSum struct {
	shown, unshown int
	from           string // of the last one
	end            *time.Timer
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, window: refusalWindow, open: map[refusalKind]*refusalSum{}}
}

// admit reports whether a refusal is to be logged by itself. The others are summed
// up in one line when the window ends.
func (r *refusals) admit(integration string, one refusal, blocked bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := refusalKind{integration, one.reason}
	sum := r.open[kind]
	if sum == nil {
		sum = &refusalSum{}
		sum.end = time.AfterFunc(r.window, func() { r.close(kind, sum) })
		r.open[kind] = sum
	}
	if sum.shown < refusalsShown && !blocked {
		sum.shown++
		return true
	}
	sum.unshown++
	sum.from = one.from
	return false
}

// close ends a window, unless it has ended.
func (r *refusals) close(kind refusalKind, sum *refusalSum) {
	r.mu.Lock()
	ended := r.open[kind] != sum
	if !ended {
		delete(r.open, kind)
	}
	r.mu.Unlock()
	if ended || sum.unshown == 0 {
		return
	}
	r.log.Warn("webhooks refused", "integration", kind.integration, "reason", kind.reason,
		"more", sum.unshown, "within_seconds", int(r.window.Seconds()), "last_from", sum.from)
}

// flush ends all windows.
func (r *refusals) flush() {
	r.mu.Lock()
	var all []func()
	for kind, sum := range r.open {
		sum.end.Stop()
		all = append(all, func() { r.close(kind, sum) })
	}
	r.mu.Unlock()
	for _, end := range all {
		end()
	}
}
