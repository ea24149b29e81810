package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"
)

// observe wraps everything: every call, also one to nowhere, is counted, gets
// one log line at its end, and gets an answer even when a handler panics.
func (r *Relay) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c, req := r.newCall(w, req)
		c.leave = r.draining.Load()
		defer r.conclude(c, req)
		defer r.recover(c, w)
		next.ServeHTTP(w, req)
	})
}

func (r *Relay) recover(c *call, w http.ResponseWriter) {
	p := recover()
	if p == nil {
		return
	}
	if c.status == 0 {
		c.write(w, errorAnswer(outcomePanicked))
	}
	c.outcome = outcomePanicked
	// The value may quote a payload, so only its type is told; the stack
	// shows functions and addresses.
	c.fault = fmt.Errorf("panic of type %T", p)
	r.log.Error("panic", "id", c.id, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// conclude counts and logs a call that has been answered.
func (r *Relay) conclude(c *call, req *http.Request) {
	took := time.Since(c.start)
	r.metrics.requests.WithLabelValues(c.route, method(req), strconv.Itoa(c.status)).Inc()
	r.metrics.requestSeconds.WithLabelValues(c.route).Observe(took.Seconds())
	final := c.outcome
	age := c.hungUp()
	if age > 0 {
		final = outcomeHungUp
		r.metrics.hungUpAge.Observe(age.Seconds())
	}
	if counts(c.outcome) {
		r.metrics.webhooks.WithLabelValues(c.integration, c.event(), string(final)).Inc()
	}
	level := max(consequences[c.outcome].level, consequences[final].level)
	if c.fault != nil {
		level = max(level, slog.LevelWarn)
	}
	if c.refused != nil && !r.refusals.admit(c.integration, *c.refused, c.outcome == outcomeBlocked) {
		level = slog.LevelDebug
	}
	if !r.log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", c.id),
		slog.String("integration", c.integration),
		slog.String("event", c.event()),
		slog.String("result", string(c.outcome)),
		slog.Int("status", c.status),
		slog.Float64("ms", float64(took.Microseconds())/1000),
	}
	if c.trace.XRequestID != "" {
		attrs = append(attrs, slog.String("x_request_id", c.trace.XRequestID))
	}
	if c.trace.Traceparent != "" {
		attrs = append(attrs, slog.String("trace_id", c.trace.TraceID()))
	}
	if c.size > 0 {
		attrs = append(attrs, slog.Int("bytes", c.size))
	}
	if c.eventID != "" {
		attrs = append(attrs, slog.String("event_id", c.eventID))
	}
	if age > 0 {
		attrs = append(attrs, slog.Float64("client_disconnected_after_ms", float64(age.Microseconds())/1000))
	}
	if c.refused != nil {
		attrs = append(attrs, slog.String("reason", c.refused.reason), slog.String("from", c.refused.from))
	}
	if c.fault != nil {
		attrs = append(attrs, slog.String("fault", c.fault.Error()))
	}
	r.log.LogAttrs(context.Background(), level, "webhook", attrs...)
}

// counts reports whether a call with the outcome was an authenticated webhook.
func counts(o outcome) bool {
	return o != outcomeUnauthorized && o != outcomeBlocked && o != outcomePlainHTTP && o != outcomeNotFound && o != outcomeMethodNotAllowed
}

// methods are the values of that label.
var methods = []string{
	http.MethodPost, http.MethodGet, http.MethodHead, http.MethodPut,
	http.MethodDelete, http.MethodOptions, http.MethodPatch, otherMethod,
}

const otherMethod = "other"

// method keeps a caller's invented methods out of the labels.
func method(req *http.Request) string {
	if slices.Contains(methods, req.Method) {
		return req.Method
	}
	return otherMethod
}

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
