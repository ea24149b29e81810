package relay

import (
	"log/slog"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/relay/shape"
)

// MaxCapture bounds how many deliveries a capture may show.
const MaxCapture = 100

// Capture shows the shape of an integration's next deliveries in the log: keys,
// types, rough sizes and date patterns, and no values. One test visit at a real tenant
// shows what Sine sends. The zero value captures nothing.
type Capture struct {
	// Deliveries are at most [MaxCapture].
	Deliveries int
	// Until is when it ends by itself.
	Until time.Time
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
func (r *Relay) capture(x *exchange, b body) {
	if r.captures.next(x.in, x.start) {
		r.log.Info("capture", slog.String("id", x.id), slog.String("integration", x.in.Name), slog.Any("shape", shape.Of(x.req.Header, b.content)))
	}
}
