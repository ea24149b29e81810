package desk

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/doors"
	"github.com/sine-relay/sine-relay/desk/feed"
	"github.com/sine-relay/sine-relay/desk/live"
	"github.com/sine-relay/sine-relay/desk/orders"
	"github.com/sine-relay/sine-relay/desk/page"
	"github.com/sine-relay/sine-relay/desk/stream"
	"github.com/sine-relay/sine-relay/visit"
)

// Config is what a desk is made of.
type Config struct {
	Broker Broker
	// Access says who is looking and what they may do. The desk sets how its pages look.
	Access *access.Access
	// Trier is nil where nothing may be tried: then there is no page for it.
	Trier      Trier
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Version    string
	// Prefix is that of the subjects; see [visit.Subjects].
	Prefix string
	Now    func() time.Time // nil: time.Now
}

// Desk answers the requests of people.
type Desk struct {
	broker  Broker
	trier   Trier
	log     *slog.Logger
	version string
	now     func() time.Time
	access  *access.Access

	pages   page.Pages
	model   *doors.Model
	live    live.Log
	tokens  live.Tokens // of live's numbers
	feed    *feed.Feed
	streams *stream.Hub
	handler http.Handler

	heavy *limiter // of what reads much
	// unread is how long a client may leave a part of a file unread.
	unread  time.Duration
	parts   partCache
	entries entryCache
	given   orders.Book
	limits  actionLimiter
	asked   orders.Asker

	unrecorded sessionEnds
}

// Bounds.
const (
	// maxHeavy is how many may read much from NATS at once, of them heavyPerUser for one
	// user, and heavyTimeout for how long.
	maxHeavy     = 6
	heavyPerUser = 2
	heavyTimeout = 30 * time.Second
	// unreadTimeout is how long a client may leave a part of a file unread.
	unreadTimeout = 5 * time.Second
	// quickTimeout bounds everything else that a page waits for.
	quickTimeout = 5 * time.Second
)

// New returns a desk that knows nothing until [Desk.Run] has begun.
func New(cfg Config) (*Desk, error) {
	if cfg.Broker == nil || cfg.Access == nil {
		return nil, errors.New("a desk needs a broker and somebody who says who may do what")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	pages, err := page.Load()
	if err != nil {
		return nil, err
	}
	tokens, err := live.NewTokens()
	if err != nil {
		return nil, err
	}
	d := &Desk{
		broker: cfg.Broker, trier: cfg.Trier, log: cfg.Logger, version: cfg.Version, now: cfg.Now, access: cfg.Access,
		pages: pages, model: doors.New(visit.Subjects{Prefix: cfg.Prefix}, cfg.Now), tokens: tokens,
		streams: stream.New(cfg.Registerer), heavy: newLimiter(maxHeavy, heavyPerUser), unread: unreadTimeout, limits: newActionLimiter(),
	}
	d.feed = feed.New(cfg.Broker, d.model, &d.live, cfg.Now, cfg.Logger, cfg.Registerer)
	cfg.Access.Render, cfg.Access.SignedOut = d.renderAccess, d.signedOut
	d.handler = page.Guard(cfg.Access.Handler(d.routes()), d.log, cfg.Registerer, d.failed)
	return d, nil
}

// Run reads the last day and follows what happens until ctx ends, and returns nil then.
// Without NATS it goes on trying. At its end it ends the streams of all pages, for which a
// server that shuts down would wait.
func (d *Desk) Run(ctx context.Context) error {
	defer d.streams.Close()
	var running sync.WaitGroup
	if d.access.CanSignOut() {
		running.Go(func() { d.followSignOuts(ctx) })
		running.Go(func() { d.recordLater(ctx) })
	}
	d.feed.Run(ctx)
	running.Wait()
	return nil
}

// ServeHTTP answers one request.
func (d *Desk) ServeHTTP(w http.ResponseWriter, r *http.Request) { d.handler.ServeHTTP(w, r) }

// Ready returns nil once a page can be true: each thing that it rests on was asked for,
// whatever the answer was.
func (d *Desk) Ready() error {
	if !d.model.Settled() {
		return errors.New("the desk has not asked NATS yet")
	}
	return nil
}

// routes are the pages by their paths.
func (d *Desk) routes() http.Handler {
	mux := http.NewServeMux()
	route := func(path string, get, post http.HandlerFunc) {
		var allowed []string
		if get != nil {
			mux.HandleFunc("GET "+path, d.known(get))
			allowed = append(allowed, http.MethodGet, http.MethodHead)
		}
		if post != nil {
			mux.HandleFunc("POST "+path, d.known(post))
			allowed = append(allowed, http.MethodPost)
		}
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			d.message(w, r, http.StatusMethodNotAllowed, "Not possible", "This address does not take that method.")
		})
	}
	route("/{$}", d.showDoors, nil)
	route("/live", d.showLive, nil)
	route("/events", d.events, nil)
	route("/visit", d.findVisit, d.searchVisit)
	route("/visit/reveal", nil, d.reveal)
	route("/visit/source", nil, d.revealSource)
	route("/decisions", d.showDecisions, nil)
	route("/decisions.csv", nil, d.exportDecisions)
	route("/quarantine", d.showQuarantine, nil)
	route("/audit", d.showAudit, nil)
	if d.trier != nil {
		route("/try", d.showTry, d.try)
		route("/try/trouble", nil, d.setTrouble)
	}
	route("/orders", d.showOrders, nil)
	route("/orders/confirm", nil, d.confirmOrder)
	route("/orders/give", nil, d.giveOrder)
	route("/orders/given", d.showGiven, nil)
	static := page.Static()
	mux.Handle("GET /static/", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-cache")
		static.ServeHTTP(w, r)
	}))
	mux.HandleFunc("/", d.notFound)
	return mux
}

// known lets those through who may see any site.
func (d *Desk) known(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !access.UserOf(r.Context()).Anywhere(access.Viewer) {
			d.message(w, r, http.StatusForbidden, "Nothing to see", "You have no role at the desk. Ask whoever administers Sine Relay for one.")
			return
		}
		next(w, r)
	}
}

// base is what the page of a request has in common with the others.
func (d *Desk) base(r *http.Request, title, active string) page.Base {
	u := access.UserOf(r.Context())
	b := page.Base{Title: title, Active: active, Now: d.now(), Zone: d.commonZone(u), Version: d.version, User: u.Name, SignOut: d.access.CanSignOut() && u.ID != ""}
	if !u.Anywhere(access.Viewer) {
		return b
	}
	b.Gaps, b.Events = d.gaps(u), "/events?of=page"
	b.Pages = []page.Link{{Path: "/", Name: "Doors"}, {Path: "/live", Name: "Live"}, {Path: "/visit", Name: "Visit"},
		{Path: "/decisions", Name: "Decisions"}, {Path: "/orders", Name: "Orders"}, {Path: "/quarantine", Name: "Not understood"}}
	if d.trier != nil && u.Anywhere(access.Operator) {
		b.Pages = append(b.Pages, page.Link{Path: "/try", Name: "Try it"})
	}
	b.Pages = append(b.Pages, page.Link{Path: "/audit", Name: "Audit"})
	return b
}

// gaps are what is not known, without the names of sites that somebody may not see.
func (d *Desk) gaps(u access.User) []doors.Gap {
	all := d.model.Gaps()
	for i, gap := range all {
		if gap.Partly && gap.Source == doors.Orders {
			all[i].Why = "Single entries are invalid, and have no effect. " + ineffective(u, gap.Why)
		}
	}
	return all
}

// show answers with a page.
func (d *Desk) show(w http.ResponseWriter, status int, name string, b page.Base) {
	if d.pages.Write(w, status, name, b) != nil {
		d.notShown(w, name)
	}
}

// notShown answers for a page whose template cannot be filled. Its error is not logged:
// what the template was filled with may be quoted in it.
func (d *Desk) notShown(w http.ResponseWriter, name string) {
	d.log.Error("page not shown", "page", name)
	http.Error(w, "This page cannot be shown. That is a defect of Sine Relay; its log says more.", http.StatusInternalServerError)
}

// message answers with a page that says one thing.
func (d *Desk) message(w http.ResponseWriter, r *http.Request, status int, title, text string) {
	b := d.base(r, title, "")
	b.Data = page.Message{Text: text, Next: "/", NextText: "Doors"}
	if len(b.Pages) == 0 {
		b.Data = page.Message{Text: text}
	}
	d.show(w, status, "message", b)
}

func (d *Desk) notFound(w http.ResponseWriter, r *http.Request) {
	d.message(w, r, http.StatusNotFound, "Not found", "There is nothing at this address, or nothing that you may see.")
}

func (d *Desk) failed(w http.ResponseWriter, r *http.Request) {
	d.message(w, r, http.StatusInternalServerError, "Failed", "Something went wrong within the desk. Its log says more. Whether what you asked for was done is not known.")
}

// renderAccess shows what package access has to say; the header is written.
func (d *Desk) renderAccess(w http.ResponseWriter, r *http.Request, p access.Page) {
	b := page.Base{Title: p.Title, Now: d.now(), Version: d.version, Data: page.Message{Text: p.Text, Next: p.Link, NextText: p.Label}}
	text, err := d.pages.Part("message", "layout", b)
	if err == nil {
		w.Write([]byte(text))
	}
}

// sites are those that somebody has a role at.
func (d *Desk) sites(u access.User, role access.Role) (all []doors.Site) {
	for _, s := range d.model.Sites() {
		if u.May(role, s.Name) {
			all = append(all, s)
		}
	}
	return all
}

// commonZone is the time zone of all sites of somebody, or nil.
func (d *Desk) commonZone(u access.User) (zone *time.Location) {
	for _, s := range d.sites(u, access.Viewer) {
		if zone != nil && zone.String() != s.Zone.String() {
			return nil
		}
		zone = s.Zone
	}
	return zone
}

// zoneOf is that of a site.
func (d *Desk) zoneOf(site string) *time.Location {
	return d.model.Zone(site)
}
