package relay

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
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
