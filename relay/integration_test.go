package relay

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestFaultyIntegrationsAreAllNamed(t *testing.T) {
	key := []Key{NewKey("k", testKey)}
	_, err := New(Config{
		Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
		Integrations: []Integration{
			{Name: "Head Office", Keys: key},
			{Name: "gate", Keys: key, Site: "a.b"},
			{Name: "dock", Keys: key, Deciders: []Decider{{Name: ">"}}},
			{Name: "slow", Keys: key, Budget: time.Minute},
			{Name: "twice", Keys: key}, {Name: "twice", Keys: key},
		},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{`"Head Office" must match`, `site "a.b"`, `decider ">"`, `write timeout`, `"twice" is configured twice`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestSuggestedNames(t *testing.T) {
	for display, want := range map[string]string{
		"Head Office":           "head-office",
		"  Tor 3 (Süd) ":        "tor-3-s-d",
		"lobby_north":           "lobby_north",
		"東京":                    "",
		strings.Repeat("x", 99): strings.Repeat("x", 64),
	} {
		if got := SuggestName(display); got != want {
			t.Errorf("%q: %q, want %q", display, got, want)
		}
	}
}
