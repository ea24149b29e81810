package relay

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// unknown stands in metrics and logs for a name that is not configured.
const unknown = "unknown"

// call is one HTTP request on its way through the relay, and what the log line
// and the metrics say about it at the end.
type call struct {
	id string
	// trace is what a trusted proxy calls it.
	trace visit.Trace
	// start has a monotonic reading, which UTC would strip: what is measured from
	// it is right though somebody sets the clock. It is written as received.
	start time.Time
	route string
	// integration is a configured name, or unknown.
	integration string
	// kind is empty until it is known.
	kind visit.Kind
	// synthetic is set when somebody tries the relay out; see [Relay.Trials].
	synthetic bool
	// again is set when a body comes from the quarantine and not from Sine.
	again   bool
	outcome outcome
	status  int
	// refused is set when the call was not let in.
	refused *refusal
	eventID string
	size    int
	// memory is what is reserved for the body.
	memory *bodyReservation
	// fault says why a question or an event went wrong; it holds nothing of a
	// payload.
	fault error
	conn  *http.ResponseController
	// arrived is set once the whole body was read. Until then the connection
	// is of no further use: the server would read the rest before it answers.
	arrived bool
	// late is set when the body did not come in time. The server then takes
	// the caller for gone, who need not be.
	late bool
	// leave asks the caller to close its connection.
	leave bool
	// authenticated is set once the call has shown a valid key. The connection
	// of any other is closed: kept ones are for those who have one.
	authenticated bool
	// gone is how long after the start the caller hung up, in nanoseconds, or
	// zero.
	gone atomic.Int64
}

type callKey struct{}

func (r *Relay) newCall(w http.ResponseWriter, req *http.Request) (*call, *http.Request) {
	c := &call{
		id: visit.NewRequestID(), trace: r.traceOf(req), start: r.now(), route: routeNone, integration: unknown,
		synthetic: req.Context().Value(trialKey{}) != nil,
		conn:      http.NewResponseController(w), arrived: req.ContentLength == 0,
	}
	return c, req.WithContext(context.WithValue(req.Context(), callKey{}, c))
}

// received is when the call came, to be written down.
func (c *call) received() time.Time { return c.start.UTC() }

func callOf(req *http.Request) *call { return req.Context().Value(callKey{}).(*call) }

// watch notes when the caller hangs up, until the returned function is called.
// The server notices a hang-up only once it has read the body.
func (c *call) watch(ctx context.Context) (stop func()) {
	note := func() { c.gone.CompareAndSwap(0, int64(time.Since(c.start))) }
	pending := context.AfterFunc(ctx, note)
	return func() {
		if !pending() {
			note() // it was started, and may not have come to it yet
		}
	}
}

// readUntil is how long the body is waited for. What has arrived by now is read
// though the time is up: the relay itself may have been held up.
func (c *call) readUntil(deadline time.Time) {
	c.conn.SetReadDeadline(time.Now().Add(max(time.Until(deadline), readAnyway)))
}

// endedBy notes why a body ended before its end, if it did.
func (c *call) endedBy(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.late = true
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		c.gone.Store(int64(time.Since(c.start)))
	}
}

// hungUp returns after what time the caller hung up, or zero.
func (c *call) hungUp() time.Duration {
	if c.late {
		return 0
	}
	return time.Duration(c.gone.Load())
}

// event is the call's kind as a label.
func (c *call) event() string {
	if c.kind == "" {
		return unknown
	}
	return string(c.kind)
}

func (c *call) write(w http.ResponseWriter, a answer) {
	c.outcome, c.status = a.outcome, a.status
	h := w.Header()
	h.Set("Content-Type", visit.ContentJSON)
	body := append(a.body, '\n')
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(visit.HeaderRequestID, c.id)
	for name, value := range c.trace.Headers() {
		h.Set(name, value)
	}
	if c.leave || !c.arrived || !c.authenticated {
		h.Set("Connection", "close")
	}
	for name, value := range a.header {
		h.Set(name, value)
	}
	w.WriteHeader(a.status)
	w.Write(body) // a caller that is gone is noticed by watch
}

// traceOf is what a proxy calls a request. Anybody else's word would only be a way
// into the log.
func (r *Relay) traceOf(req *http.Request) visit.Trace {
	if !r.proxies.Trusts(req.RemoteAddr) {
		return visit.Trace{}
	}
	only := func(name string) string {
		if values := req.Header.Values(name); len(values) == 1 {
			return values[0]
		}
		return ""
	}
	return visit.NewTrace(only(visit.HeaderXRequestID), only(visit.HeaderTraceparent))
}

// origin says where the call came in, and when.
func (c *call) origin(in *Integration, d *delivery) (visit.Origin, date) {
	when := readDate(d.date, in.Zone, c.received())
	return visit.Origin{
		RequestID:   c.id,
		Trace:       c.trace,
		Site:        in.Site,
		Integration: in.Name,
		Time:        when.time,
		TimeBasis:   when.basis,
		TimeZone:    in.Zone.String(),
		Received:    c.received(),
		Visit:       visit.NewVisitKey(d.passID()),
		Synthetic:   c.synthetic,
	}, when
}
