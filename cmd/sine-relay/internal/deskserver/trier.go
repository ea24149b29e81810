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
	t.asked, t.last = time.Now(), slices.DeleteFunc(agreed(relays), func(target desk.TryTarget) bool {
		_, err := t.key(target.Integration)
		return err != nil
	})
	return t.last
}

// agreed are the integrations of which all relays that have them say the same site, and
// that they are for tests. Whatever answers on NATS may say that it is a relay: it must not
// be what makes an integration one for tests, nor choose the site whose operators may try
// it.
func agreed(relays []visit.Relay) (targets []desk.TryTarget) {
	sites := map[string]string{}
	for _, r := range relays {
		for _, i := range r.Integrations {
			site, known := sites[i.Name]
			if !i.Test || known && site != i.Site {
				sites[i.Name] = "" // no site has this name
				continue
			}
			sites[i.Name] = i.Site
		}
	}
	for name, site := range sites {
		if visit.ValidName(site) {
			targets = append(targets, desk.TryTarget{Integration: name, Site: site})
		}
	}
	slices.SortFunc(targets, func(a, b desk.TryTarget) int { return strings.Compare(a.Integration, b.Integration) })
	return targets
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
