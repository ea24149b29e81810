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

// middleware wraps the router: every request, also one to an unknown path, is
// counted, gets one log line at its end, and gets a response even when a handler
// panics.
func (r *Relay) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		x := r.newExchange(w, req)
		defer r.logAndCount(x)
		defer r.recover(x, w)
		next.ServeHTTP(w, x.req)
	})
}

func (r *Relay) recover(x *exchange, w http.ResponseWriter) {
	p := recover()
	if p == nil {
		return
	}
	if x.status == 0 {
		x.write(w, errorResponse(resultPanicked))
	}
	x.result = resultPanicked
	// The value may quote a payload, so only its type is logged; the stack
	// shows functions and addresses.
	x.err = fmt.Errorf("panic of type %T", p)
	r.log.Error("panic", "id", x.id, "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
}

// logAndCount ends an exchange.
func (r *Relay) logAndCount(x *exchange) {
	took, disconnected := time.Since(x.start), x.conn.disconnectedAfter()
	counted := x.result
	if disconnected > 0 {
		counted = resultDisconnected
		r.metrics.disconnectSeconds.Observe(disconnected.Seconds())
	}
	r.metrics.requests.WithLabelValues(x.route, methodLabel(x.req), strconv.Itoa(x.status)).Inc()
	r.metrics.requestSeconds.WithLabelValues(x.route).Observe(took.Seconds())
	if x.result.authenticated() {
		r.metrics.webhooks.WithLabelValues(x.integration(), x.kindLabel(), string(counted)).Inc()
	}
	level := max(responseTable[x.result].level, responseTable[counted].level)
	if x.err != nil {
		level = max(level, slog.LevelWarn)
	}
	if x.from != "" && !r.refusals.allow(x.integration(), x.reason, x.from, x.result == resultBlocked) {
		level = slog.LevelDebug
	}
	if r.log.Enabled(context.Background(), level) {
		r.log.LogAttrs(context.Background(), level, "webhook", x.logAttrs(took, disconnected)...)
	}
}

// logAttrs are the fields of the log line.
func (x *exchange) logAttrs(took, disconnected time.Duration) []slog.Attr {
	attrs := append(make([]slog.Attr, 0, 12),
		slog.String("id", x.id),
		slog.String("integration", x.integration()),
		slog.String("kind", x.kindLabel()),
		slog.String("result", string(x.result)),
		slog.Int("status", x.status),
		slog.Float64("ms", milliseconds(took)),
	)
	if x.trace.XRequestID != "" {
		attrs = append(attrs, slog.String("x_request_id", x.trace.XRequestID))
	}
	if x.trace.Traceparent != "" {
		attrs = append(attrs, slog.String("trace_id", x.trace.TraceID()))
	}
	if x.size > 0 {
		attrs = append(attrs, slog.Int("bytes", x.size))
	}
	if x.eventID != "" {
		attrs = append(attrs, slog.String("event_id", x.eventID))
	}
	if disconnected > 0 {
		attrs = append(attrs, slog.Float64("client_disconnected_after_ms", milliseconds(disconnected)))
	}
	if x.reason != "" {
		attrs = append(attrs, slog.String("reason", x.reason))
	}
	if x.from != "" {
		attrs = append(attrs, slog.String("from", x.from))
	}
	if x.err != nil {
		attrs = append(attrs, slog.String("err", x.err.Error()))
	}
	return attrs
}

// methods are the values of that label.
var methods = []string{
	http.MethodPost, http.MethodGet, http.MethodHead, http.MethodPut,
	http.MethodDelete, http.MethodOptions, http.MethodPatch, otherMethod,
}

const otherMethod = "other"

// methodLabel keeps a client's invented methods out of the labels.
func methodLabel(req *http.Request) string {
	if slices.Contains(methods, req.Method) {
		return req.Method
	}
	return otherMethod
}

// How many refusals of an integration are logged one by one for the same reason,
// and in what time. Anybody can call: each further one costs no line of its own.
const (
	refusalsLogged = 3
	refusalWindow  = time.Minute
)

// refusals keeps clients without a valid key from filling the log. What it remembers
// is bounded by the integrations and the reasons, whoever calls.
type refusals struct {
	log    *slog.Logger
	window time.Duration

	mu   sync.Mutex
	open map[refusalGroup]*refusalCount
}

type refusalGroup struct{ integration, reason string }

// refusalCount is what came within a window.
type refusalCount struct {
	logged, suppressed int
	from               string // of the last one
	end                *time.Timer
}

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, window: refusalWindow, open: map[refusalGroup]*refusalCount{}}
}

// allow reports whether a refusal is to be logged by itself. The others are summed
// up in one line when the window ends.
func (r *refusals) allow(integration, reason, from string, blocked bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	group := refusalGroup{integration, reason}
	count := r.open[group]
	if count == nil {
		count = &refusalCount{}
		count.end = time.AfterFunc(r.window, func() { r.close(group, count) })
		r.open[group] = count
	}
	if count.logged < refusalsLogged && !blocked {
		count.logged++
		return true
	}
	count.suppressed++
	count.from = from
	return false
}

// close ends a window, unless it has ended.
func (r *refusals) close(group refusalGroup, count *refusalCount) {
	r.mu.Lock()
	ended := r.open[group] != count
	if !ended {
		delete(r.open, group)
	}
	r.mu.Unlock()
	if ended || count.suppressed == 0 {
		return
	}
	r.log.Warn("webhooks refused", "integration", group.integration, "reason", group.reason,
		"count", count.suppressed, "window_seconds", int(r.window.Seconds()), "last_from", count.from)
}

// flush ends all windows.
func (r *refusals) flush() {
	r.mu.Lock()
	var all []func()
	for group, count := range r.open {
		count.end.Stop()
		all = append(all, func() { r.close(group, count) })
	}
	r.mu.Unlock()
	for _, end := range all {
		end()
	}
}
