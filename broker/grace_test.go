package broker

import (
	"log/slog"
	"testing"
	"time"
)

// A server that closes each connection as soon as it is made must not be connected to
// all the time.
func TestConnection_FirstReconnectIsAtOnceAfterAStableConnection(t *testing.T) {
	l := newLink("check_in_requests", slog.New(slog.DiscardHandler), newMetrics(Config{}))
	ago := func(d time.Duration) {
		at := time.Now().Add(-d)
		l.connectedAt.Store(&at)
	}
	if d := l.reconnectDelay(1); d < reconnectWait {
		t.Errorf("never connected: %s", d)
	}
	ago(0)
	if d := l.reconnectDelay(1); d < reconnectWait {
		t.Errorf("connected just now: %s", d)
	}
	ago(time.Minute)
	if d := l.reconnectDelay(1); d != 0 {
		t.Errorf("connected for a minute: %s", d)
	}
	if d := l.reconnectDelay(2); d < reconnectWait {
		t.Errorf("the second time: %s", d)
	}
}
