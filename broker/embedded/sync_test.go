package embedded

import (
	"log/slog"
	"testing"
)

// A server acknowledges before it syncs unless told otherwise, and a single one
// has nobody else who holds the message.
func TestTrap_AnAcknowledgementComesBeforeTheDisk(t *testing.T) {
	s, err := Start(Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	if config := s.running.nats.JetStreamConfig(); config == nil || !config.SyncAlways {
		t.Errorf("JetStream runs with %+v", config)
	}
}
