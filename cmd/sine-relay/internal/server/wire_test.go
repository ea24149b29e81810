package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/broker/streams"
)

func TestRemedy_NamesTheSettings(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]string{
		dial.ErrServerSilent:   "set SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST",
		dial.ErrNoHandshake:    "unset SINE_RELAY_NATS_TLS_HANDSHAKE_FIRST",
		embedded.ErrPlaintext:  "SINE_RELAY_NATS_LISTEN_PLAINTEXT=true",
		embedded.ErrHalfTLS:    "SINE_RELAY_NATS_LISTEN_TLS_KEY_FILE",
		embedded.ErrNoStore:    "SINE_RELAY_NATS_STORE_DIR",
		fmt.Errorf("anything"): "",
		&streams.RoomError{Limit: 20 << 20, Wanted: 24 << 20}: "they may take 24 MiB, and there was room for 20 MiB at the start, three quarters of what was free; give it a larger volume, " +
			"or lower SINE_RELAY_EVENT_STREAM_MAX_BYTES, SINE_RELAY_DECISION_STREAM_MAX_BYTES and SINE_RELAY_QUARANTINE_STREAM_MAX_BYTES to 20 MiB together",
		&streams.RoomError{Limit: 20 << 20, Wanted: 24 << 20, Audit: 4 << 20}: "_DECISION_STREAM_MAX_BYTES, SINE_RELAY_QUARANTINE_STREAM_MAX_BYTES and SINE_RELAY_DESK_STREAM_MAX_BYTES to 20 MiB together",
	} {
		got := remedy(err)
		if !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
		if text := withRemedy(err).Error(); want != "" && text != err.Error()+"; "+got {
			t.Errorf("%q", text)
		}
	}
}
