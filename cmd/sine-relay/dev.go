package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// devDir is where dev keeps its state unless it is told otherwise.
const devDir = ".sine-relay"

// dev runs everything in one process, for a newcomer: the relay, a broker, a
// decider that lets everybody in but one, and a printer of events. It reads the
// same variables as serve and has a default for each.
func dev(ctx context.Context, in invocation) int {
	if !noArguments("dev", in) {
		return exitUsage
	}
	settings, key, err := devSettings(in)
	if err != nil {
		return misconfigured(in, err)
	}
	log := newLogger(in.err, settings.Level, settings.LogFormat)
	a, err := start(settings, log)
	if err != nil {
		return orderly(in, err)
	}
	served := make(chan error, 1)
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { served <- a.serve(serving) }()

	// The companions end first: they use the broker.
	companions, end := context.WithCancel(ctx)
	defer end()
	var running sync.WaitGroup
	if err := a.accompany(companions, in.out, &running); err != nil {
		log.Warn("no example decider and no printing of events", "reason", err.Error())
	}
	a.introduce(in.out, key)
	select {
	case err = <-served:
	case <-ctx.Done():
		end()
		running.Wait()
		stop()
		err = <-served
	}
	fmt.Fprintln(in.out, "Stopped.")
	return orderly(in, err)
}

// devSettings gives every variable a default. A default port that is taken gives
// way to a free one; one that was set does not.
func devSettings(in invocation) (s config.Settings, key string, err error) {
	dir := devDir
	if set, ok := lookup(in.environ, config.Prefix+"NATS_STORE_DIR"); ok {
		dir = set
	}
	if key, err = devKey(dir); err != nil {
		return s, "", err
	}
	defaults := map[string]string{
		"SINE_RELAY_LISTEN":       free("127.0.0.1:8080"),
		"SINE_RELAY_ADMIN_LISTEN": free("127.0.0.1:9090"),
		"SINE_RELAY_NATS_LISTEN":  free("127.0.0.1:4222"),
		"SINE_RELAY_DRAIN_DELAY":  "0s",
		"SINE_RELAY_LOG_LEVEL":    "warn",
	}
	if !given(in, "NATS_URL") {
		defaults["SINE_RELAY_NATS_STORE_DIR"] = dir
	}
	if given(in, "KEYS") || given(in, "INTEGRATIONS_FILE") {
		key = ""
	} else {
		defaults["SINE_RELAY_KEYS"] = key
	}
	s, err = config.Load(in.environ, defaults)
	return s, key, err
}

// given reports whether a variable, or its file, was set.
func given(in invocation, name string) bool {
	_, direct := lookup(in.environ, config.Prefix+name)
	_, file := lookup(in.environ, config.Prefix+name+"_FILE")
	return direct || file
}

// devKey makes a key on the first run, and finds it on the next.
func devKey(dir string) (string, error) {
	file := filepath.Join(dir, "dev-key")
	if content, err := os.ReadFile(file); err == nil {
		return strings.TrimSpace(string(content)), nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	key := rand.Text()
	return key, os.WriteFile(file, []byte(key+"\n"), 0o600)
}

// free returns the address, or the same with a free port when it is taken.
func free(address string) string {
	socket, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, _ := net.SplitHostPort(address)
		socket, err = net.Listen("tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return address // starting will say what is wrong with it
	}
	defer socket.Close()
	return socket.Addr().String()
}

// accompany starts the example decider and the printer of events, as another
// team's program would: over NATS, with the contract's packages.
func (a *app) accompany(ctx context.Context, out io.Writer, running *sync.WaitGroup) error {
	if err := a.awaitReady(ctx); err != nil {
		return err
	}
	nc, err := nats.Connect(a.clientURL(), nats.Name("sine-relay dev"), nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return err
	}
	subjects := visit.Subjects{Prefix: a.settings.SubjectPrefix}
	sites, deciders := a.doors()
	var companions sync.WaitGroup
	for _, decider := range deciders {
		companions.Go(func() {
			cfg := subscriber.DeciderConfig{Sites: sites[decider], Decider: decider, Version: "0.0.1", Description: "The example of sine-relay dev", Subjects: subjects}
			a.complain(subscriber.Decide(ctx, nc, cfg, exampleDecision))
		})
	}
	companions.Go(func() {
		cfg := subscriber.EventsConfig{Durable: "sine-relay-dev", Stream: a.settings.EventStream, Subjects: subjects}
		a.complain(subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
			printEvent(out, e)
			return nil
		}))
	})
	running.Go(func() {
		companions.Wait()
		nc.Close()
	})
	return nil
}

func (a *app) complain(err error) {
	if err != nil {
		a.log.Error("dev", "reason", err.Error())
	}
}

// awaitReady waits until the relay is ready, or cannot become so by itself.
func (a *app) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		state, health := a.readiness.State()
		switch {
		case state.Word == "ready":
			return nil
		case health.Fault != nil || state.Ready:
			return errors.New(state.String())
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// clientURL is what any NATS client can use.
func (a *app) clientURL() string {
	if a.embedded != nil {
		return a.embedded.ClientURL()
	}
	return strings.Join(a.settings.NATSServers(), ",")
}

// doors lists every decider's sites.
func (a *app) doors() (sites map[string][]string, deciders []string) {
	sites = map[string][]string{}
	seen := map[string]bool{}
	for _, i := range a.settings.Integrations {
		decider, site := i.Decider, i.Site
		if decider == "" {
			decider = "default"
		}
		if !seen[site+"/"+decider] {
			seen[site+"/"+decider] = true
			if sites[decider] == nil {
				deciders = append(deciders, decider)
			}
			sites[decider] = append(sites[decider], site)
		}
	}
	return sites, deciders
}

// exampleDecision lets everybody in but a company that is called Denied.
func exampleDecision(_ context.Context, q visit.Request) (visit.Decision, error) {
	if strings.EqualFold(q.Company, "Denied") {
		return visit.Decision{
			Verdict:     visit.Reject,
			VisitorText: "Your company is not expected today. Please see reception.",
			AdminNote:   "Rejected by the example decider: the company is called Denied.",
		}, nil
	}
	return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome, " + q.Person.FirstName + "!", AdminNote: "Accepted by the example decider."}, nil
}

// printEvent shows an event to the developer who sent it: the one place where
// names are printed.
func printEvent(out io.Writer, e visit.Event) {
	fmt.Fprintf(out, "event  %s  %s  site %s  %s %s, %s  (id %s)\n",
		e.Time.Format(time.RFC3339), e.Kind, e.Site, e.Person.FirstName, e.Person.LastName, e.Company, e.ID)
}
