package subscriber

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/visit"
)

// DeciderConfig says which questions to answer. Sites and Version are required.
type DeciderConfig struct {
	// Sites are the sites whose check-in requests are decided.
	Sites []string
	// Decider is the name under which integrations know the decider,
	// "default" by default.
	Decider string
	// Version is the program's own, as semantic versioning has it: 1.2.3.
	Version     string
	Description string
	Subjects    visit.Subjects
	// Concurrency is how many questions are answered at once, 64 by default.
	// Those beyond it are told at once that the decider is overloaded.
	// Questions that come again because another program is slow are among them.
	Concurrency int
	// GracePeriod is how long questions may still be answered once the context
	// has ended, before the context given to decide ends too. 20 s by default.
	GracePeriod time.Duration
	// OnReady is called once, when the questions of all sites come here; without
	// a connection, when they will as soon as there is one.
	OnReady func()
	// OnError hears of every question that could not be answered. The error
	// may hold what the program put into it. It is called by several
	// goroutines at once and must be quick: the next question waits for it.
	// By default the error is logged by slog's default logger.
	OnError func(error)
}

// complete checks the configuration and fills its defaults in. The version is
// left to package micro.
func (c DeciderConfig) complete() (DeciderConfig, error) {
	if c.Decider == "" {
		c.Decider = "default"
	}
	if c.Concurrency == 0 {
		c.Concurrency = 64
	}
	if c.GracePeriod == 0 {
		c.GracePeriod = defaultGrace
	}
	if c.OnReady == nil {
		c.OnReady = func() {}
	}
	if c.OnError == nil {
		c.OnError = logError
	}
	return c, c.check()
}

func (c DeciderConfig) check() error {
	if !visit.ValidName(c.Decider) {
		return fmt.Errorf("decider %q must match %s", c.Decider, visit.NamePattern)
	}
	if len(c.Sites) == 0 {
		return errors.New("at least one site is needed")
	}
	for i, site := range c.Sites {
		if !visit.ValidName(site) {
			return fmt.Errorf("site %q must match %s", site, visit.NamePattern)
		}
		if slices.Contains(c.Sites[:i], site) {
			return fmt.Errorf("site %q is there twice", site)
		}
	}
	if c.Concurrency < 0 || c.GracePeriod < 0 {
		return errors.New("concurrency and grace period must not be negative")
	}
	return nil
}

// service is the decider as NATS discovery shows it.
func (c DeciderConfig) service(stats func() visit.DeciderStats, ended func()) micro.Config {
	return micro.Config{
		Name: visit.DeciderService, Version: c.Version, Description: c.Description,
		Metadata:     map[string]string{"decider": c.Decider, "sites": strings.Join(c.Sites, ",")},
		StatsHandler: func(*micro.Endpoint) any { return stats() },
		DoneHandler:  func(micro.Service) { ended() },
	}
}
