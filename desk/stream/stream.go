// Package stream keeps open pages up to date, by server-sent events.
//
// A page has no queue: an update has what has changed since the one before. A page that reads
// slowly gets fewer of them, and one that does not read at all is dropped. So the memory
// of the desk does not depend on who looks, nor on how much happens.
package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// MaxViewers is how many pages may be kept up to date at once, and MaxPerUser how
	// many of one user: several screens may share an account.
	MaxViewers = 200
	MaxPerUser = 20
	// updateInterval is between two updates of a page, and beatInterval the longest time
	// without a word to it: a page that hears nothing for twice as long says that it is
	// old.
	updateInterval = 500 * time.Millisecond
	beatInterval   = 5 * time.Second
	// slowAfter is how long a page may take to read an update.
	slowAfter = 5 * time.Second
)

// Update is what a page gets. Its parts are HTML, by the ids of what they replace.
type Update struct {
	Parts map[string]string `json:"parts,omitempty"`
	// List is the id of a list, Order the ids of its children, and Prepend what comes
	// before them, of which Most are kept.
	List    string   `json:"list,omitempty"`
	Order   []string `json:"order,omitempty"`
	Prepend string   `json:"prepend,omitempty"`
	Most    int      `json:"most,omitempty"`
	Shown   string   `json:"shown,omitempty"`

	// ID is where to go on after the connection was lost. It is not sent with the rest.
	ID string `json:"-"`
}

func (u *Update) Empty() bool { return len(u.Parts) == 0 && u.Prepend == "" && u.Order == nil }

// Source returns what has changed since it was last called.
type Source func() (Update, error)

// Hub has all pages that are open.
type Hub struct {
	mu       sync.Mutex
	watching int
	users    map[string]int
	stop     chan struct{}
	stopped  sync.Once
	viewers  prometheus.Gauge
	dropped  *prometheus.CounterVec
}

// Reasons for which a page is dropped.
const (
	droppedSlow = "slow"
	droppedFull = "full"
)

// New returns a hub without any page.
func New(reg prometheus.Registerer) *Hub {
	h := &Hub{
		users: map[string]int{},
		stop:  make(chan struct{}),
		viewers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sine_relay_desk_viewers", Help: "Pages that are open and kept up to date.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_desk_viewers_dropped_total", Help: "Pages that were not or no longer kept up to date, by reason: slow for connections that were not read, full where too many were open.",
		}, []string{"reason"}),
	}
	reg.MustRegister(h.viewers, h.dropped)
	h.dropped.WithLabelValues(droppedSlow)
	h.dropped.WithLabelValues(droppedFull)
	return h
}

// Close ends all streams. Their pages try again, and find the next desk.
func (h *Hub) Close() { h.stopped.Do(func() { close(h.stop) }) }

// Viewers is the number of pages that are open.
func (h *Hub) Viewers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.watching
}

// open counts a page of a user, unless too many are open.
func (h *Hub) open(user string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.watching >= MaxViewers || h.users[user] >= MaxPerUser {
		return false
	}
	h.watching++
	h.users[user]++
	return true
}

func (h *Hub) leave(user string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watching--
	if h.users[user]--; h.users[user] == 0 {
		delete(h.users, user)
	}
}

// Serve sends a user's page the updates of a source, until the page, its session or the
// hub ends. Full answers where too many are open.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request, user string, next Source, full func()) {
	if !h.open(user) {
		h.dropped.WithLabelValues(droppedFull).Inc()
		full()
		return
	}
	defer h.leave(user)
	h.viewers.Inc()
	defer h.viewers.Dec()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold it back
	s := sender{w: w, control: http.NewResponseController(w)}
	if err := h.follow(r.Context(), &s, next); errors.Is(err, errSlow) {
		h.dropped.WithLabelValues(droppedSlow).Inc()
	}
}

func (h *Hub) follow(ctx context.Context, s *sender, next Source) error {
	tick := time.NewTicker(updateInterval)
	defer tick.Stop()
	quiet := beatInterval
	for {
		u, err := next()
		if err != nil {
			return errors.Join(err, s.send("", "bye", "the desk cannot show it. Its log says more."))
		}
		switch {
		case !u.Empty():
			data, err := json.Marshal(u)
			if err != nil {
				return err
			}
			if err := s.send(u.ID, "update", string(data)); err != nil {
				return err
			}
			quiet = 0
		case quiet >= beatInterval:
			if err := s.send("", "beat", "1"); err != nil {
				return err
			}
			quiet = 0
		}
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return s.send("", "bye", "your session has ended. Reload the page to sign in again.")
			}
			return nil
		case <-h.stop:
			return nil
		case <-tick.C:
			quiet += updateInterval
		}
	}
}

// sender writes server-sent events.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

var errSlow = errors.New("the page does not read")

// send writes one event. Data has no line break.
func (s *sender) send(id, event, data string) error {
	began := time.Now()
	if err := s.control.SetWriteDeadline(began.Add(slowAfter)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	// Over HTTP/2 a deadline that passes ends the stream, also while nothing is written.
	defer s.control.SetWriteDeadline(time.Time{})
	if id != "" {
		id = "id: " + id + "\n"
	}
	_, err := fmt.Fprintf(s.w, "%sevent: %s\ndata: %s\n\n", id, event, data)
	if err == nil {
		err = s.control.Flush()
	}
	switch {
	case err == nil:
		return nil
	case time.Since(began) >= slowAfter:
		return fmt.Errorf("send %s: %w: %w", event, errSlow, err)
	default:
		return fmt.Errorf("send %s: %w", event, err)
	}
}

// Changed returns the parts that a page does not have yet, and notes that they are sent.
// What is no part any more is forgotten.
func Changed(parts map[string]string, sent map[string]uint64) map[string]string {
	news := map[string]string{}
	for id, html := range parts {
		if h := Hash(html); sent[id] != h {
			sent[id], news[id] = h, html
		}
	}
	for id := range sent {
		if _, there := parts[id]; !there {
			delete(sent, id)
		}
	}
	return news
}

var seed = maphash.MakeSeed()

// Hash tells one text from another, within this process.
func Hash(s string) uint64 { return maphash.String(seed, s) }
