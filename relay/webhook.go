package relay

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/sine-relay/sine-relay/relay/clientip"
	"github.com/sine-relay/sine-relay/relay/connlimit"
	"github.com/sine-relay/sine-relay/visit"
)

// headerKey is where Sine puts the API key.
const headerKey = "X-Sine-Auth"

// webhook answers one call from Sine. It checks, in this order, the path (mux
// did), the method, the key, the size and the body, and looks at nothing
// further once one of them fails.
func (r *Relay) webhook(c *call, req *http.Request) answer {
	vars := mux.Vars(req)
	c.route, c.kind = routeWebhook, pinned[vars["event"]]
	if c.kind != "" {
		c.route = routePinnedWebhook
	}
	in := r.book.Load().integrations[vars["integration"]]
	if in != nil {
		c.integration = in.Name
	}
	if req.Method != http.MethodPost {
		return errorAnswer(outcomeMethodNotAllowed)
	}
	key, reason := r.authenticate(in, req)
	if reason == "" || reason == reasonAddress {
		r.noteUnnamed(c, in, req)
	}
	if reason != "" {
		r.metrics.rejected.WithLabelValues(c.integration, reason).Inc()
		return r.unauthorized(c, req, reason)
	}
	c.authenticated = true
	connlimit.Authenticated(req.Context(), in.Name)
	r.metrics.keys.used(in.Name, key)
	r.metrics.lastWebhook.WithLabelValues(in.Name).SetToCurrentTime()
	r.metrics.inFlight.WithLabelValues(in.Name).Inc()
	defer r.metrics.inFlight.WithLabelValues(in.Name).Dec()
	defer c.watch(req.Context())()
	if req.TLS == nil && r.proxies.PlainHTTP(req.RemoteAddr, req.Header) {
		r.metrics.plainHTTP.WithLabelValues(in.Name).Inc()
		c.fault = fmt.Errorf("it came to a proxy by http, so that the key %s crossed the network in clear: write https into Sine, then change the key", key)
		if r.refusePlainHTTP {
			r.metrics.rejected.WithLabelValues(in.Name, reasonPlainHTTP).Inc()
			return errorAnswer(outcomePlainHTTP)
		}
	}
	if !strings.HasPrefix(strings.ToLower(req.Header.Get("Content-Type")), visit.ContentJSON) {
		r.metrics.contentTypes.WithLabelValues(in.Name).Inc()
	}
	return r.receive(c, in, req)
}

// authenticate returns the name of the integration's key that the header holds,
// or the reason why the call is not let in. It costs the same time for an
// unknown integration and a wrong key, and the caller is told no difference. The
// key comes before the question whether it came by plain http: only of a valid one
// is it true that it must be changed.
func (r *Relay) authenticate(in *Integration, req *http.Request) (key, reason string) {
	presented := req.Header.Get(headerKey)
	keys := nobody
	if in != nil && len(in.Keys) > 0 {
		keys = in.Keys
	}
	switch match := matchKey(keys, presented); {
	case in == nil:
		return "", reasonUnknownIntegration
	case in.Broken:
		return "", reasonBroken
	case len(in.Keys) == 0:
		return "", reasonNoKey
	case strings.TrimSpace(presented) == "":
		return "", reasonMissingKey
	case match < 0:
		return "", reasonWrongKey
	case !clientip.Allowed(in.AllowFrom, r.proxies.Address(req.RemoteAddr, req.Header)):
		return "", reasonAddress
	default:
		return in.Keys[match].Name(), ""
	}
}

// unauthorized answers a call that is not let in. Only such calls are limited: a
// valid key never is, since Sine calls from few addresses, in bursts.
func (r *Relay) unauthorized(c *call, req *http.Request, reason string) answer {
	from := r.proxies.Address(req.RemoteAddr, req.Header)
	c.refused = &refusal{reason: reason, from: clientip.Network(from)}
	if r.failures.Blocked(from, time.Now()) {
		return errorAnswer(outcomeBlocked)
	}
	return errorAnswer(outcomeUnauthorized)
}

// receive reads an authenticated call's body and passes it on by what it is.
func (r *Relay) receive(c *call, in *Integration, req *http.Request) answer {
	encodings, length := encodingsOf(req.Header), req.ContentLength
	if len(encodings) > 0 {
		length = -1 // of what it becomes
	}
	memory, err := r.limiter.acquireBody(req.Context(), in.Name, c.kind, c.start.Add(r.patience(c, in)), length)
	if err != nil {
		c.fault = err
		return r.turnAway(c, in)
	}
	defer memory.Release()
	c.memory = memory

	raw, err := r.read(c, in, req)
	s := undo(raw, encodings, err, r.limits.Body)
	c.size = max(len(s.raw), len(s.text))
	memory.shrink(c.size)
	r.capture(c, in, req.Header, s)
	if s.fault != nil {
		c.fault = s.fault
	}
	if s.reason != "" {
		return r.unread(c, in, req, s)
	}
	body := s.text
	if since, again := r.repeats.seen(in.Name, body, c.start); again {
		r.metrics.repeatAge.Observe(since.Seconds())
	}
	d, reason := decode(body, r.limits.JSONDepth)
	if reason == "" {
		reason = r.settleKind(c, in, &d)
	}
	switch {
	case reason != "":
		return r.unreadable(c, in, req, s, reason)
	case c.kind.IsEvent():
		return r.event(c, in, req, &d, body)
	default:
		return r.checkIn(c, in, req, &d, body)
	}
}

// patience is how long a call may take that could not be read yet: where a
// visitor may be waiting, not longer than the door allows.
func (r *Relay) patience(c *call, in *Integration) time.Duration {
	if c.kind.IsEvent() {
		return r.limits.StoreBudget
	}
	return min(in.Budget, r.limits.StoreBudget)
}

// readAnyway is how long a body is waited for though its time is up, where the
// relay itself was held up: what has arrived by then is read.
const readAnyway = 100 * time.Millisecond

// read returns the body, or what came of it and why no more did. Where a visitor
// may be waiting, it leaves a quarter of the budget for the answer. Of a body that
// is too large it returns the beginning and errTooLarge.
func (r *Relay) read(c *call, in *Integration, req *http.Request) (body []byte, err error) {
	limit := r.limits.Body
	if !c.kind.IsEvent() || req.ContentLength > limit {
		c.readUntil(r.readDeadline(c, in))
	}
	if n := req.ContentLength; n >= 0 {
		body = make([]byte, min(n, limit))
		var read int
		read, err = io.ReadFull(req.Body, body)
		body = body[:read]
	} else {
		body, err = readAll(req.Body, limit+1)
	}
	c.endedBy(err)
	if req.ContentLength > limit || int64(len(body)) > limit {
		r.dropRest(c, in, req)
		return body[:min(int64(len(body)), limit)], errTooLarge
	}
	if err == nil {
		c.arrived = true
		// The server goes on reading, to notice a hang-up. Were the deadline
		// for the body still in force, its passing would look like one. A
		// body that did not end keeps its deadline: the server reads the
		// rest before it can use the connection again.
		c.conn.SetReadDeadline(time.Time{})
	}
	return body, err
}

func (r *Relay) readDeadline(c *call, in *Integration) time.Time {
	return c.start.Add(min(r.limits.ReadTimeout, in.Budget*3/4))
}

// settleKind decides what the call is.
func (r *Relay) settleKind(c *call, in *Integration, d *delivery) visit.Reason {
	kind, reason := in.kind(c.kind, d)
	if reason == "" && d.event != "" && in.kindOf(d.event) != kind {
		r.metrics.disagreements.WithLabelValues(in.Name).Inc()
		c.fault = errDisagreement
	}
	if reason == "" {
		c.kind = kind
	}
	return reason
}

var errDisagreement = errors.New("the body names another event than the URL; the URL's was used")

// kind is what a call is: the URL's word, where it names one, wins over the
// body's.
func (in *Integration) kind(pinned visit.Kind, d *delivery) (visit.Kind, visit.Reason) {
	named := in.kindOf(d.event)
	switch {
	case pinned == "" && named == "":
		return "", visit.ReasonUnknownEvent
	case pinned == "":
		return named, ""
	case !d.isEvent:
		return "", visit.ReasonUnknownEvent // no pass at all: another product's call
	default:
		return pinned, ""
	}
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
