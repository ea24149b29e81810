package deskserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/trial"
	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/visit"
)

// targetsInterval is between two searches for the integrations that may be tried, and
// targetsTimeout how long one may take.
const (
	targetsInterval = 10 * time.Second
	targetsTimeout  = 3 * time.Second
)

// Trier returns what makes one of the settings, or nil where they configure none.
func Trier(s config.Settings) func(desk.Broker) desk.Trier {
	if s.DeskTryURL == "" {
		return nil
	}
	return func(b desk.Broker) desk.Trier {
		t := &targets{broker: b, keys: s.DeskTryKeysDir}
		return trial.New(trial.Config{URL: s.DeskTryURL, Targets: t.all, Key: t.key})
	}
}

// targets are the integrations that relays mark for tests, and of which there is a key
// here.
type targets struct {
	broker desk.Broker
	keys   string

	mu    sync.Mutex
	asked time.Time
	last  []desk.TryTarget
}

func (t *targets) all() []desk.TryTarget {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Since(t.asked) < targetsInterval {
		return t.last
	}
	ctx, cancel := context.WithTimeout(context.Background(), targetsTimeout)
	defer cancel()
	relays, err := t.broker.Relays(ctx)
	if len(relays) == 0 && err != nil {
		return t.last // those of before, until somebody knows better
	}
	var found []desk.TryTarget
	for _, r := range relays {
		for _, i := range r.Integrations {
			target := desk.TryTarget{Integration: i.Name, Site: i.Site}
			if _, err := t.key(i.Name); i.Test && err == nil && !slices.Contains(found, target) {
				found = append(found, target)
			}
		}
	}
	slices.SortFunc(found, func(a, b desk.TryTarget) int { return strings.Compare(a.Integration, b.Integration) })
	t.asked, t.last = time.Now(), found
	return found
}

// key reads the first key of an integration's file. What another program on NATS says is
// the name of an integration may be a path.
func (t *targets) key(integration string) (string, error) {
	if !visit.ValidName(integration) {
		return "", errors.New("not the name of an integration")
	}
	content, err := os.ReadFile(filepath.Join(t.keys, integration))
	if err != nil {
		return "", err
	}
	return config.FirstKey(string(content))
}
