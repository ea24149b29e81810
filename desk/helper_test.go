package desk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/desk/live"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// fakeBroker has what a test puts into it. It filters by nothing but site, result and
// time, obeys no order, and does not check the fields of orders and lifts: broker/desk
// is what does, against a NATS server. An order replaces one of its kind and site, and a
// lift ends the one that it names, and an entry of the audit must be valid, as there.
type fakeBroker struct {
	mu          sync.Mutex
	away        error // of everything
	auditErr    error
	relays      []visit.Relay
	relaysErr   error
	deciders    []visit.Decider
	orders      []visit.Order
	given       int  // orders
	panics      bool // where an order is given
	ordersErr   error
	records     []visit.Record
	since       time.Time // is what decisions and check-ins are counted from
	reading     bool
	events      []visit.Event
	quarantined []visit.Quarantined
	audits      []visit.Audit
	lifted      []visit.Lift
	giveErr     error
	liftErr     error
	follow      func(record func(visit.Record), event func(visit.Event), state func(error))
}

// do runs something while nobody else does, unless NATS is away.
func (b *fakeBroker) do(f func()) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away == nil && f != nil {
		f()
	}
	return b.away
}

func (b *fakeBroker) set(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f()
}

func (b *fakeBroker) Connected() error { return b.do(nil) }

func (b *fakeBroker) Relays(context.Context) (all []visit.Relay, err error) {
	if away := b.do(func() { all, err = b.relays, b.relaysErr }); away != nil {
		return nil, away
	}
	return all, err
}

func (b *fakeBroker) Deciders(context.Context) (all []visit.Decider, err error) {
	err = b.do(func() { all = b.deciders })
	return all, err
}

func (b *fakeBroker) Orders(context.Context) (all []visit.Order, err error) {
	if away := b.do(func() { all, err = b.orders, b.ordersErr }); away != nil {
		return nil, away
	}
	return all, err
}

func (b *fakeBroker) GiveOrder(_ context.Context, o visit.Order) (visit.Order, error) {
	err := b.do(func() {
		if b.panics {
			panic("as the test wants")
		}
		b.given++
		o.ID, o.Since = fmt.Sprint("order-", b.given), time.Now()
		b.orders = append(b.without(o.Kind, o.Site), o)
	})
	if err == nil {
		err = b.giveErr
	}
	return o, err
}

// without returns the orders but that of a kind and a site.
func (b *fakeBroker) without(kind visit.OrderKind, site string) []visit.Order {
	return slices.DeleteFunc(slices.Clone(b.orders), func(o visit.Order) bool { return o.Kind == kind && o.Site == site })
}

func (b *fakeBroker) LiftOrder(_ context.Context, l visit.Lift, lost ...string) (revision uint64, err error) {
	away := b.do(func() {
		i := slices.IndexFunc(b.orders, func(o visit.Order) bool { return o.Kind == l.Kind && o.Site == l.Site && o.InForce(time.Now()) })
		switch {
		case b.liftErr != nil:
			err = b.liftErr
		case i >= 0 && b.orders[i].Identity() != l.Lifts, i < 0 && !slices.Contains(lost, l.Lifts):
			err = fmt.Errorf("lift %s: %w", l.Lifts, visit.ErrNotFound)
		default:
			b.orders, b.lifted = b.without(l.Kind, l.Site), append(b.lifted, l)
		}
	})
	return 7, errors.Join(away, err)
}

func (b *fakeBroker) MaxOverride() time.Duration { return 2 * time.Hour }

func (b *fakeBroker) Records(ctx context.Context, site, result string, from, to time.Time, fn func(visit.Record) error) error {
	var all []visit.Record
	if err := b.do(func() { all = b.records }); err != nil {
		return err
	}
	for _, r := range all {
		accepted := result == "" || (r.Verdict == visit.Accept) == (result == visit.ResultAccepted)
		if accepted && (site == "" || r.Site == site) && !r.Received.Before(from) && (to.IsZero() || r.Received.Before(to)) {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (b *fakeBroker) Events(ctx context.Context, site string, from, to time.Time, fn func(visit.Event) error) error {
	var all []visit.Event
	if err := b.do(func() { all = b.events }); err != nil {
		return err
	}
	for _, e := range all {
		if (site == "" || e.Site == site) && !e.Received.Before(from) && (to.IsZero() || e.Received.Before(to)) {
			e.FormAnswers, e.Source = nil, nil
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (b *fakeBroker) Decisions(ctx context.Context, from, to time.Time, fn func(uint64, *visit.Record)) (since time.Time, reading bool, err error) {
	var all []visit.Record
	if err := b.do(func() { all, since, reading = b.records, b.since, b.reading }); err != nil {
		return since, reading, err
	}
	for i, r := range slices.Backward(all) {
		if !r.Received.Before(from) && (to.IsZero() || r.Received.Before(to)) {
			r.RequestID, r.Reference, r.Rule, r.Integration = "", "", "", ""
			fn(uint64(i), &r)
		}
	}
	return since, reading, ctx.Err()
}

func (b *fakeBroker) CheckIns(ctx context.Context, from, to time.Time, fn func(*visit.Event)) (since time.Time, reading bool, err error) {
	b.set(func() { since, reading = b.since, b.reading })
	err = b.Events(ctx, "", from, to, func(e visit.Event) error {
		if e.Kind == visit.KindCheckedIn && !e.IsCorrection() {
			fn(&e)
		}
		return nil
	})
	return since, reading, err
}

func (b *fakeBroker) RecordsAt(_ context.Context, sequences []uint64, fn func(uint64, visit.Record)) error {
	return b.do(func() {
		for _, sequence := range sequences {
			fn(sequence, b.records[sequence])
		}
	})
}

func (b *fakeBroker) Event(_ context.Context, site, id string, _ time.Time) (found visit.Event, err error) {
	err = fmt.Errorf("event %s: %w", id, visit.ErrNotFound)
	if away := b.do(func() {
		for _, e := range b.events {
			if e.Site == site && e.ID == id {
				found, err = e, nil
			}
		}
	}); away != nil {
		return found, away
	}
	return found, err
}

func (b *fakeBroker) Follow(ctx context.Context, record func(visit.Record), event func(visit.Event), state func(error)) error {
	if b.follow != nil {
		b.follow(record, event, state)
	} else {
		state(b.do(nil))
	}
	<-ctx.Done()
	return nil
}

func (b *fakeBroker) Quarantined(_ context.Context, fn func(uint64, time.Time, visit.Quarantined) error) error {
	var all []visit.Quarantined
	if err := b.do(func() { all = b.quarantined }); err != nil {
		return err
	}
	for i, q := range all {
		if err := fn(uint64(i+1), q.Received, q); err != nil {
			return err
		}
	}
	return nil
}

func (b *fakeBroker) Audit(_ context.Context, a visit.Audit) (err error) {
	if away := b.do(func() {
		if err = errors.Join(b.auditErr, a.Validate()); err == nil {
			b.audits = append(b.audits, a)
		}
	}); away != nil {
		return away
	}
	return err
}

func (b *fakeBroker) Audits(_ context.Context, from, to time.Time, fn func(visit.Audit) error) error {
	var all []visit.Audit
	if err := b.do(func() { all = b.audits }); err != nil {
		return err
	}
	for _, a := range all {
		if !a.Time.Before(from) && (to.IsZero() || a.Time.Before(to)) {
			if err := fn(a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *fakeBroker) audited() (all []visit.Audit) {
	b.do(func() { all = append(all, b.audits...) })
	return all
}

// The people of the tests, by what the proxy calls them, with their groups.
var people = map[string]string{
	"vera": "viewers", "rita": "reception-hq", "otto": "operators", "olga": "operators-hq", "nemo": "others",
}

// fixture is a desk behind a proxy that says who is looking.
type fixture struct {
	*Desk
	server *httptest.Server
	broker *fakeBroker
	logs   *logtest.Buffer
	reg    *prometheus.Registry
}

// newFixture serves a desk that has read what the broker has.
func newFixture(t testing.TB, b *fakeBroker, change ...func(*Config)) *fixture {
	t.Helper()
	f := &fixture{broker: b, logs: &logtest.Buffer{}, reg: prometheus.NewRegistry()}
	who, err := access.New(t.Context(), access.Config{
		Proxy: &access.Proxy{UserHeader: "X-User", GroupsHeader: "X-Groups", Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
		Roles: []access.Mapping{
			{Group: "viewers", Role: access.Viewer, Sites: []string{visit.AllSites}},
			{Group: "reception-hq", Role: access.Reception, Sites: []string{"hq"}},
			{Group: "operators", Role: access.Operator, Sites: []string{visit.AllSites}},
			{Group: "operators-hq", Role: access.Operator, Sites: []string{"hq"}},
		},
		Logger: f.logs.Text(),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Broker: b, Access: who, Logger: slog.New(slog.NewTextHandler(f.logs, nil)), Registerer: f.reg, Version: "v1.2.3"}
	for _, c := range change {
		c(&cfg)
	}
	if f.Desk, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	f.server = httptest.NewServer(f.Desk)
	t.Cleanup(f.server.Close)
	return f
}

// read runs the desk until it has read the last day.
func (f *fixture) read(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	wait.Until(t, "the desk has read everything", func() bool { return len(f.model.Gaps()) == 0 })
}

// happen shows a visit as one that happens now.
func (f *fixture) happen(r visit.Record, e visit.Event) {
	f.live.Add(live.OfRecord(&r))
	f.live.Add(live.OfEvent(&e))
}

// answer is what somebody got.
type answer struct {
	status int
	text   string
	header http.Header
}

func (f *fixture) do(t testing.TB, who, method, path string, form url.Values) answer {
	t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(t.Context(), method, f.server.URL+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-User", who)
	req.Header.Set("X-Groups", people[who])
	req.Header.Set("Accept", "text/html")
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, string(text), resp.Header}
}

func (f *fixture) get(t testing.TB, who, path string) answer {
	t.Helper()
	return f.do(t, who, http.MethodGet, path, nil)
}

func (f *fixture) post(t testing.TB, who, path string, form ...string) answer {
	t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	return f.do(t, who, http.MethodPost, path, values)
}
