package relay

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/sine-relay/sine-relay/visit"
)

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
