package conn

import (
	"log/slog"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
)

// A server that closes each connection as soon as it is made must not be connected to
// all the time.
func TestConnection_FirstReconnectIsAtOnceAfterAStableConnection(t *testing.T) {
	c := newConn(dial.Config{}, Options{Name: "check_in_requests", Logger: slog.New(slog.DiscardHandler), Metrics: NewMetrics(nil)})
	ago := func(d time.Duration) {
		at := time.Now().Add(-d)
		c.connectedAt.Store(&at)
	}
	if d := c.reconnectDelay(1); d < dial.ReconnectWait {
		t.Errorf("never connected: %s", d)
	}
	ago(0)
	if d := c.reconnectDelay(1); d < dial.ReconnectWait {
		t.Errorf("connected just now: %s", d)
	}
	ago(time.Minute)
	if d := c.reconnectDelay(1); d != 0 {
		t.Errorf("connected for a minute: %s", d)
	}
	if d := c.reconnectDelay(2); d < dial.ReconnectWait {
		t.Errorf("the second time: %s", d)
	}
}
