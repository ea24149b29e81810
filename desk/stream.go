package desk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	// maxViewers is how many pages may be kept up to date at once.
	maxViewers = 200
	// updateInterval is between two updates of a page, and beatInterval the longest time
	// without a word to it: a page that hears nothing for twice as long says that it is
	// old.
	updateInterval = 500 * time.Millisecond
	beatInterval   = 5 * time.Second
	// slowAfter is how long a page may take to read an update.
	slowAfter = 5 * time.Second
)

// update is what a page is told. Its parts are HTML, by the ids of what they replace.
type update struct {
	Parts map[string]string `json:"parts,omitempty"`
	// List is the id of a list, Order the ids of its children, and Prepend what comes
	// before them, of which Most are kept.
	List    string   `json:"list,omitempty"`
	Order   []string `json:"order,omitempty"`
	Prepend string   `json:"prepend,omitempty"`
	Most    int      `json:"most,omitempty"`
	Shown   string   `json:"shown,omitempty"`

	id string // where to go on after the connection was lost
}

func (u *update) empty() bool { return len(u.Parts) == 0 && u.Prepend == "" && u.Order == nil }

// source returns what has changed since it was last called.
type source func() (update, error)

// stream sends the updates of a source, until the page, its session or the desk ends. A
// page has no queue: one that reads slowly is told less often, and one that does not read
// at all is dropped.
func (d *Desk) stream(w http.ResponseWriter, r *http.Request, next source) {
	if d.watching.Add(1) > maxViewers {
		d.watching.Add(-1)
		d.metrics.dropped.WithLabelValues(droppedFull).Inc()
		d.message(w, r, http.StatusServiceUnavailable, "Too many pages", fmt.Sprintf("%d pages are open already. Close some.", maxViewers))
		return
	}
	d.metrics.viewers.Inc()
	defer func() { d.watching.Add(-1); d.metrics.viewers.Dec() }()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold it back
	s := sender{w: w, control: http.NewResponseController(w)}
	if err := d.follow(r.Context(), &s, next); errors.Is(err, errSlow) && r.Context().Err() == nil {
		d.metrics.dropped.WithLabelValues(droppedSlow).Inc()
	}
}

func (d *Desk) follow(ctx context.Context, s *sender, next source) error {
	tick := time.NewTicker(updateInterval)
	defer tick.Stop()
	quiet := beatInterval
	for {
		u, err := next()
		if err != nil {
			return errors.Join(err, s.send("", "bye", "the desk cannot show it. Its log says more."))
		}
		switch {
		case !u.empty():
			data, err := json.Marshal(u)
			if err != nil {
				return err
			}
			if err := s.send(u.id, "update", string(data)); err != nil {
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
		case <-d.stop:
			return nil // the page tries again, and finds the next desk
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
	if err := s.control.SetWriteDeadline(time.Now().Add(slowAfter)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if id != "" {
		id = "id: " + id + "\n"
	}
	if _, err := fmt.Fprintf(s.w, "%sevent: %s\ndata: %s\n\n", id, event, data); err != nil {
		return fmt.Errorf("%w: %w", errSlow, err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("%w: %w", errSlow, err)
	}
	return nil
}

// changed leaves out the parts that a page has already.
func changed(parts map[string]string, sent map[string]uint64) map[string]string {
	news := map[string]string{}
	for id, html := range parts {
		if h := hash(html); sent[id] != h {
			sent[id], news[id] = h, html
		}
	}
	return news
}
