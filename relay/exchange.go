package relay

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// unknown stands in metrics and logs for a name that is not configured.
const unknown = "unknown"

// exchange is one HTTP request on its way to its response.
type exchange struct {
	req *http.Request
	id  string
	// trace is what a trusted proxy calls the request.
	trace visit.Trace
	// start has a monotonic reading, which UTC would strip: what is measured from
	// it is right though somebody sets the clock. It is written as received, unless at is
	// set, by a clock of the relay's own.
	start, at time.Time
	// synthetic is set for a test of the relay; see [Relay.Synthetic].
	synthetic bool
	// resubmitted is set when a body comes from the quarantine and not from Sine.
	resubmitted bool
	conn        connection

	// in is nil where the URL names no integration that is configured.
	in *Integration
	// kind is empty until it is known.
	kind visit.Kind
	// memory is what is reserved for the body.
	memory *bodyReservation

	// What follows is for the log line and the metrics.
	route   string
	result  result
	status  int
	size    int // of the body, in bytes
	eventID string
	// missing are the fields that are expected of the body and that it lacks.
	missing []string
	// reason is why the webhook was refused or could not be read, one of a closed set.
	reason string
	// from is the network of a client that was not let in.
	from string
	// err says why a check-in request or an event went wrong; it holds nothing of
	// a payload.
	err error
}

type exchangeKey struct{}

// newExchange puts the exchange into the request's context, through which it passes
// the router.
func (r *Relay) newExchange(w http.ResponseWriter, req *http.Request) *exchange {
	x := &exchange{
		id: visit.NewRequestID(), trace: r.traceOf(req), start: r.now(), route: routeNone,
		synthetic: req.Context().Value(syntheticKey{}) != nil,
	}
	x.at = r.clock()
	x.conn = connection{
		control: http.NewResponseController(w), start: x.start,
		arrived: req.ContentLength == 0, draining: r.draining.Load(),
	}
	x.req = req.WithContext(context.WithValue(req.Context(), exchangeKey{}, x))
	return x
}

// exchangeOf returns the exchange of a request that comes from the router.
func exchangeOf(req *http.Request) *exchange {
	x := req.Context().Value(exchangeKey{}).(*exchange)
	x.req = req
	return x
}

// traceOf is what a proxy calls a request. What anybody else calls it would only be
// a way into the log.
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

// received is when the request came, to be written down.
func (x *exchange) received() time.Time {
	if x.at.IsZero() {
		return x.start.UTC()
	}
	return x.at.UTC()
}

// integration is the integration as a label.
func (x *exchange) integration() string {
	if x.in == nil {
		return unknown
	}
	return x.in.Name
}

// kindLabel is the kind as a label.
func (x *exchange) kindLabel() string {
	if x.kind == "" {
		return unknown
	}
	return string(x.kind)
}

// origin says where a delivery came in, and when.
func (x *exchange) origin(d *fields.Body) (visit.Origin, fields.When) {
	when := x.in.Fields.ReadDate(d.Date, x.in.Zone, x.received())
	return visit.Origin{
		RequestID:   x.id,
		Trace:       x.trace,
		Site:        x.in.Site,
		Integration: x.in.Name,
		ExternalID:  cmp.Or(x.in.ExternalID, d.ExternalID),
		Time:        when.Time,
		TimeBasis:   when.Basis,
		TimeZone:    x.in.Zone.String(),
		Received:    x.received(),
		Visit:       visit.NewVisitKey(d.VisitID),
		Synthetic:   x.synthetic,
	}, when
}

// write writes the response.
func (x *exchange) write(w http.ResponseWriter, res response) {
	x.result, x.status = res.result, res.status
	h := w.Header()
	h.Set("Content-Type", visit.ContentJSON)
	body := append(res.body, '\n')
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set(visit.HeaderRequestID, x.id)
	for name, value := range x.trace.Headers() {
		h.Set(name, value)
	}
	if x.conn.mustClose() {
		h.Set("Connection", "close")
	}
	for name, value := range res.header {
		h.Set(name, value)
	}
	w.WriteHeader(res.status)
	w.Write(body) // watch notices a client that is gone
}

// connection is what an exchange knows of the client's connection.
type connection struct {
	control *http.ResponseController
	start   time.Time // of the exchange
	// arrived is set once the whole body was read. Until then the connection
	// is of no further use: the server would read the rest before it answers.
	arrived bool
	// late is set when the body did not come in time. The server then takes
	// the client for gone, which need not be so.
	late bool
	// draining asks the client to close its connection.
	draining bool
	// authenticated is set once the request has shown a valid key. The connection
	// of any other is closed: kept ones are for those who have one.
	authenticated bool
	// gone is how long after the start the client disconnected, in nanoseconds, or
	// zero.
	gone atomic.Int64
}

func (c *connection) mustClose() bool { return c.draining || !c.arrived || !c.authenticated }

// watch notes when the client disconnects, until the returned function is called.
// The server notices it only once it has read the body.
func (c *connection) watch(ctx context.Context) (stop func()) {
	note := func() { c.gone.CompareAndSwap(0, int64(time.Since(c.start))) }
	pending := context.AfterFunc(ctx, note)
	return func() {
		if !pending() {
			note() // it was started, and may not have come to it yet
		}
	}
}

// readGrace is how long a body is waited for though its time is up, where the
// relay itself was held up: what has arrived by then is read.
const readGrace = 100 * time.Millisecond

// readUntil is how long the body is waited for.
func (c *connection) readUntil(deadline time.Time) {
	c.control.SetReadDeadline(time.Now().Add(max(time.Until(deadline), readGrace)))
}

// complete notes that the whole body was read. The server goes on reading, to notice
// a disconnect. Were the deadline for the body still in force, its passing would look
// like one. A body that did not end keeps its deadline: the server reads the rest
// before it can use the connection again.
func (c *connection) complete() {
	c.arrived = true
	c.control.SetReadDeadline(time.Time{})
}

// endedBy notes why a body ended before its end, if it did.
func (c *connection) endedBy(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.late = true
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		c.gone.Store(int64(time.Since(c.start)))
	}
}

// disconnectedAfter returns after what time the client disconnected, or zero.
func (c *connection) disconnectedAfter() time.Duration {
	if c.late {
		return 0
	}
	return time.Duration(c.gone.Load())
}
