package relay

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/mux"

	"github.com/sine-relay/sine-relay/relay/connlimit"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

// Names of the routes, for metrics.
const (
	routeWebhook       = "/sine/{integration}"
	routePinnedWebhook = "/sine/{integration}/{kind}"
	routeNone          = "none"
)

// pinnedKinds are how a URL names the kind.
var pinnedKinds = map[string]visit.Kind{
	"check-in-request":  visit.KindCheckInRequest,
	"check-in-success":  visit.KindCheckedIn,
	"check-out-success": visit.KindCheckedOut,
}

// Path is where an integration is called. With a kind it is the path that names
// the kind.
func Path(integration string, kind visit.Kind) string {
	path := "/sine/" + integration
	for segment, k := range pinnedKinds {
		if k == kind {
			path += "/" + segment
		}
	}
	return path
}

// routes maps paths to handlers.
//
// Four habits of mux are avoided here. Clean-up of a path would answer with a
// redirect, which aborts a check-in: SkipClean. Matching by method answers some
// wrong methods with 404 and none with Allow: the handler looks at the method
// itself. Middleware given to Use is not run for 404 and 405: everything that
// must see those wraps the router from outside. And an encoded slash is taken for
// a slash: UseEncodedPath.
func (r *Relay) routes() http.Handler {
	router := mux.NewRouter().SkipClean(true).UseEncodedPath()
	const integration, kind = "/sine/{integration:[^/]+}", "/{kind:check-in-request|check-in-success|check-out-success}"
	webhook := handle(r.handleWebhook)
	for _, slash := range []string{"", "/"} {
		router.Handle(integration+slash, webhook)
		router.Handle(integration+kind+slash, webhook)
	}
	router.NotFoundHandler = handle(func(*exchange) response { return errorResponse(resultNotFound) })
	return router
}

// handle makes a handler of a function that returns its response.
func handle(respond func(*exchange) response) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		x := exchangeOf(req)
		x.write(w, respond(x))
	})
}

// handleWebhook answers one webhook. It checks, in this order, the path (mux did),
// the method, the API key, the size and the body, and looks at nothing further once
// one of them fails.
func (r *Relay) handleWebhook(x *exchange) response {
	vars := mux.Vars(x.req)
	x.route, x.kind = routeWebhook, pinnedKinds[vars["kind"]]
	if x.kind != "" {
		x.route = routePinnedWebhook
	}
	x.in = r.snapshot.Load().integrations[vars["integration"]]
	if x.req.Method != http.MethodPost {
		return errorResponse(resultMethodNotAllowed)
	}
	key, reason := r.authenticate(x)
	if reason != "" {
		return r.refuse(x, reason)
	}
	x.conn.authenticated = true
	connlimit.Authenticated(x.req.Context(), x.in.Name)
	r.metrics.apiKeys.used(x.in.Name, key)
	r.metrics.lastWebhook.WithLabelValues(x.in.Name).SetToCurrentTime()
	x.in.lastReceived.Store(r.now().UnixMilli())
	r.metrics.inFlight.WithLabelValues(x.in.Name).Inc()
	defer r.metrics.inFlight.WithLabelValues(x.in.Name).Dec()
	defer x.conn.watch(x.req.Context())()
	if r.cameByPlainHTTP(x, key) && r.refusePlainHTTP {
		r.metrics.refused.WithLabelValues(x.in.Name, reasonPlainHTTP).Inc()
		x.reason = reasonPlainHTTP
		return errorResponse(resultPlainHTTP)
	}
	if !strings.HasPrefix(strings.ToLower(x.req.Header.Get("Content-Type")), visit.ContentJSON) {
		r.metrics.contentTypes.WithLabelValues(x.in.Name).Inc()
	}
	return r.receive(x)
}

// receive reads the body of an authenticated webhook and passes it on by its kind.
func (r *Relay) receive(x *exchange) response {
	encodings, length := encodingsOf(x.req.Header), x.req.ContentLength
	if len(encodings) > 0 {
		length = -1 // of what it becomes
	}
	memory, err := r.limiter.acquireBody(x.req.Context(), x.in.Name, x.kind, x.start.Add(r.bodyTimeout(x)), length)
	if err != nil {
		x.err = err
		return r.overloaded(x)
	}
	defer memory.Release()
	x.memory = memory

	raw, err := r.readBody(x)
	b := newBody(raw, encodings, err, r.limits.Body)
	x.size = max(len(b.raw), len(b.text))
	memory.shrink(x.size)
	r.capture(x, b)
	if b.err != nil {
		x.err = b.err
	}
	if b.reason != "" {
		return r.quarantine(x, b, b.reason)
	}
	since, duplicate := r.duplicates.seen(x.in.Name, b.text, x.start)
	if duplicate {
		r.metrics.duplicateAge.Observe(since.Seconds())
	}
	d, reason := x.in.Fields.Read(b.text, r.limits.JSONDepth)
	if reason == "" {
		reason = r.setKind(x, d)
	}
	if reason == "" {
		r.note(x, d, duplicate)
	}
	switch {
	case reason != "":
		return r.quarantine(x, b, reason)
	case x.kind.IsEvent():
		return r.storeEvent(x, d)
	default:
		return r.checkIn(x, d)
	}
}

// bodyTimeout is how long a webhook may wait for memory: where a visitor may be
// waiting, not longer than for a decision.
func (r *Relay) bodyTimeout(x *exchange) time.Duration {
	if x.kind.IsEvent() {
		return r.limits.StoreBudget
	}
	return min(x.in.Budget, r.limits.StoreBudget)
}

// overloaded answers a webhook for whose body there is no memory. Only where the URL
// says that nobody but a visitor can be waiting is a fallback truthful: an event
// must not be answered 200.
func (r *Relay) overloaded(x *exchange) response {
	if x.kind == visit.KindCheckInRequest {
		return r.fallback(x, policy.Overloaded)
	}
	return r.inLedger(x.in, func() (result, response) {
		return resultRefused, errorResponse(resultRefused)
	})
}

// setKind finds out which of the three a webhook is.
func (r *Relay) setKind(x *exchange, d *fields.Body) visit.Reason {
	kind, reason := x.in.kind(x.kind, d)
	if reason == "" && d.Event != "" && x.in.kindOf(d.Event) != kind {
		r.metrics.kindMismatches.WithLabelValues(x.in.Name).Inc()
		x.err = errKindMismatch
	}
	if reason == "" {
		x.kind = kind
	}
	return reason
}

var errKindMismatch = errors.New("the body names another kind than the URL; the URL's was used")

// kind is what a webhook is: the URL's word, where it names one, wins over the
// body's.
func (in *Integration) kind(pinned visit.Kind, d *fields.Body) (visit.Kind, visit.Reason) {
	named := in.kindOf(d.Event)
	switch {
	case pinned == "" && named == "":
		return "", visit.ReasonUnknownEvent
	case pinned == "":
		return named, ""
	case !d.IsEvent:
		return "", visit.ReasonUnknownEvent // no pass at all: another product's webhook
	default:
		return pinned, ""
	}
}

// eventNames are those seen or expected on the wire, as [fields.Spelling] has them. An
// integration may add its own.
var eventNames = map[string]visit.Kind{
	"signinbefore":    visit.KindCheckInRequest,
	"checkinrequest":  visit.KindCheckInRequest,
	"signinafter":     visit.KindCheckedIn,
	"checkinsuccess":  visit.KindCheckedIn,
	"signoutafter":    visit.KindCheckedOut,
	"checkoutsuccess": visit.KindCheckedOut,
}

// kindOf returns the kind that the body's event name stands for, or "".
func (in *Integration) kindOf(event string) visit.Kind {
	if event == "" {
		return ""
	}
	name := fields.Spelling(event)
	if kind, ok := in.Events[name]; ok {
		return kind
	}
	return eventNames[name]
}
