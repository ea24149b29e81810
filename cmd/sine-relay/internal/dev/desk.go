package dev

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/deskserver"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/trial"
	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/relay"
)

// startDesk starts the desk, as a process of its own would be but for its way to NATS,
// and returns its address.
func (d *demo) startDesk(ctx context.Context, running *sync.WaitGroup, of config.Desk, trier desk.Trier) (string, error) {
	started, err := deskserver.Start(deskserver.Options{
		Settings: d.Settings, Desk: of, Log: d.Log, Version: d.Version, NATS: d.deskConfig(),
		Trier: func(desk.Broker) desk.Trier { return trier },
	})
	if err != nil {
		return "", err
	}
	running.Go(func() { d.logFailed(started.Run(ctx)) })
	return started.URL(), nil
}

// deskConfig is how the desk reaches NATS: the embedded one as its user desk, through what
// can be cut.
func (d *demo) deskConfig() admin.Config {
	cfg := server.AdminConfig(d.Settings)
	if d.Embedded != nil {
		cfg.NATS.InProcess, cfg.NATS.TLS = d.troubles.cut, dial.TLS{}
		cfg.NATS.Auth = dial.Auth{User: embedded.UserDesk, Password: func() string { return d.Embedded.Password(embedded.UserDesk) }}
	}
	return cfg
}

// tryer is the desk's Trier in dev, with troubles.
type tryer struct {
	*trial.Trial
	*troubles
}

func (t tryer) Troubles() []desk.Trouble { return t.known() }

func (t tryer) SetTrouble(ctx context.Context, name string, on bool) error {
	return t.set(ctx, name, on)
}

// deskTrial tries every integration of which dev knows a key; made is the one that it made.
func deskTrial(d *demo, made string, seen *wire) desk.Trier {
	scheme, client := "http://", http.DefaultClient
	if d.Settings.TLSCertFile != "" { // for the name that Sine calls
		scheme, client = "https://", &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	}
	key := func(integration string) (string, error) { return apiKey(d.Settings, integration, made) }
	return tryer{trial.New(trial.Config{
		URL: scheme + reachable(d.PublicAddr()), Client: client, Key: key, Between: seen.between,
		Targets: func() (all []desk.TryTarget) {
			for _, i := range d.Settings.Integrations {
				if _, err := key(i.Name); err == nil {
					all = append(all, desk.TryTarget{Integration: i.Name, Site: i.Site})
				}
			}
			return all
		},
	}), d.troubles}
}

// apiKey is the first key of an integration.
func apiKey(s config.Settings, integration, made string) (string, error) {
	isDefault := integration == relay.DefaultIntegration
	first, _, _ := strings.Cut(s.Keys.Reveal(), ",")
	switch {
	case made != "":
		return made, nil
	case isDefault && strings.TrimSpace(first) != "":
		return strings.TrimSpace(first), nil
	case isDefault && s.KeysFile() != "":
		return keyIn(s.KeysFile(), ",")
	case s.KeysDir != "":
		return keyIn(filepath.Join(s.KeysDir, integration), "")
	}
	return "", errors.New("no key is known")
}

// keyIn is the first key in a file, up to a separator unless that is empty.
func keyIn(file, separator string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	key, err := config.FirstKey(string(content))
	if separator != "" {
		key, _, _ = strings.Cut(key, separator)
	}
	return key, err
}
