package streams

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// The levels are those of NATS' versions.
func TestBatches_AreForServersThatSyncThemOnce(t *testing.T) {
	for _, c := range []struct {
		version, level string
		allowed, want  bool
	}{
		{"2.15", "5", true, true},
		{"newer", "6", true, true},
		{"2.15, a stream that does not allow them", "5", false, false},
		{"2.14", "4", true, false},
		{"2.12", "2", true, false},
		{"2.11", "1", false, false},
		{"2.10", "", false, false},
	} {
		found := jetstream.StreamConfig{AllowAtomicPublish: c.allowed, Metadata: map[string]string{"_nats.level": c.level}}
		if got := takesBatches(found); got != c.want {
			t.Errorf("NATS %s: %t", c.version, got)
		}
	}
}
