package relay

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/relay/shape"
)

// MaxCapture bounds how many deliveries a capture may show.
const MaxCapture = 100

// Capture shows the shape of an integration's next deliveries in the log: keys,
// types, rough sizes and date patterns, and no values. It is how one test visit at a real
// tenant tells what Sine sends. The zero value captures nothing.
type Capture struct {
	Deliveries int
	// Until is when it ends by itself.
	Until time.Time
}

func (c Capture) check() error {
	switch {
	case c == Capture{}:
		return nil
	case c.Deliveries < 1 || c.Deliveries > MaxCapture:
		return errors.New("a capture needs between 1 and 100 deliveries")
	case c.Until.IsZero():
		return errors.New("a capture needs a time at which it ends")
	}
	return nil
}

// captures counts what was shown. A reload does not begin a capture anew.
type captures struct {
	mu    sync.Mutex
	shown map[string]map[Capture]int // by integration
}

// next reports whether one more delivery is to be shown.
func (c *captures) next(in *Integration, now time.Time) bool {
	if in.Capture.Deliveries == 0 || !now.Before(in.Capture.Until) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown == nil {
		c.shown = make(map[string]map[Capture]int)
	}
	if _, running := c.shown[in.Name][in.Capture]; !running {
		c.shown[in.Name] = map[Capture]int{in.Capture: 0}
	}
	if c.shown[in.Name][in.Capture] >= in.Capture.Deliveries {
		return false
	}
	c.shown[in.Name][in.Capture]++
	return true
}

// capture shows the shape of a delivery where that is wanted.
func (r *Relay) capture(c *call, in *Integration, h http.Header, s sent) {
	if r.captures.next(in, c.start) {
		r.log.Info("capture", slog.String("id", c.id), slog.String("integration", in.Name), slog.Any("shape", shape.Of(h, s.content)))
	}
}
