package relay

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/sine-relay/sine-relay/relay/connlimit"
	"github.com/sine-relay/sine-relay/visit"
)

// Names of the routes, for metrics.
const (
	routeWebhook       = "/sine/{integration}"
	routePinnedWebhook = "/sine/{integration}/{event}"
	routeNone          = "none"
)

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
	const integration, event = "/sine/{integration:[^/]+}", "/{event:check-in-request|check-in-success|check-out-success}"
	webhook := r.serve(r.webhook)
	for _, slash := range []string{"", "/"} {
		router.Handle(integration+slash, webhook)
		router.Handle(integration+event+slash, webhook)
	}
	router.NotFoundHandler = r.serve(func(*call, *http.Request) answer { return errorAnswer(outcomeNotFound) })
	return router
}

// serve makes a handler of a function that returns its answer.
func (r *Relay) serve(answer func(*call, *http.Request) answer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		c := callOf(req)
		c.write(w, answer(c, req))
	})
}

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

// pinned is how a URL names an event.
var pinned = map[string]visit.Kind{
	"check-in-request":  visit.KindCheckInRequest,
	"check-in-success":  visit.KindCheckedIn,
	"check-out-success": visit.KindCheckedOut,
}

// Path is where an integration is called. With a kind it is the path that names
// the event.
func Path(integration string, kind visit.Kind) string {
	path := "/sine/" + integration
	for event, k := range pinned {
		if k == kind {
			path += "/" + event
		}
	}
	return path
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

// aliases are the event names seen or expected on the wire, as Spelling has them. An
// integration may add its own.
var aliases = map[string]visit.Kind{
	"signinbefore":    visit.KindCheckInRequest,
	"checkinrequest":  visit.KindCheckInRequest,
	"signinafter":     visit.KindCheckedIn,
	"checkinsuccess":  visit.KindCheckedIn,
	"signoutafter":    visit.KindCheckedOut,
	"checkoutsuccess": visit.KindCheckedOut,
}

var separators = strings.NewReplacer("_", "", "-", "", ".", "", " ", "")

// Spelling makes spellings of one name equal, such as "signin_after" and
// "SignIn-After".
func Spelling(name string) string { return separators.Replace(strings.ToLower(name)) }

// kindOf returns the kind that the body's event name stands for, or "".
func (i *Integration) kindOf(event string) visit.Kind {
	if event == "" {
		return ""
	}
	name := Spelling(event)
	if kind, ok := i.Events[name]; ok {
		return kind
	}
	return aliases[name]
}
