// Package dev is the command of the newcomer: the relay with everything that it
// needs in one process, an example decider, and a printer of what arrives.
package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/internal/atomicfile"
	"github.com/sine-relay/sine-relay/relay"
)

// devDir is where dev keeps its state unless the settings name another directory.
const devDir = ".sine-relay"

// Options are what dev runs with.
type Options struct {
	Environ        []string
	Stdout, Stderr io.Writer
	Version        string
}

// demo is a running relay with what dev adds to it.
type demo struct {
	*server.Server
	Options
	troubles *troubles
}

// Run runs everything in one process, for a newcomer: the relay, a broker, a
// decider that lets everybody in but one, and a printer of events. It reads the
// same variables as serve and has a default for each.
func Run(ctx context.Context, o Options) error {
	defaults, key, err := defaultsOf(o.Environ)
	if err != nil {
		return err
	}
	settings, err := config.Load(o.Environ, defaults)
	if err != nil {
		return err
	}
	ofDesk, problems := settings.CheckDesk()
	if len(problems) > 0 {
		return problems
	}
	log, flush := server.NewLogger(o.Stderr, settings.Level, settings.LogFormat)
	defer flush()
	seen, cut := &wire{}, &cutter{}
	started, err := server.Start(server.Options{
		Settings: settings, Log: log, Version: o.Version,
		Load: func() (config.Settings, error) { return config.LoadWithoutKeys(o.Environ, defaults) },
		Publisher: func(b *broker.Broker) relay.Publisher {
			return publishing{recordPrinter{b, o.Stdout}, seen}
		},
		Asker:     func(b *broker.Broker) relay.Asker { return asking{b, seen} },
		InProcess: cut.of, DeskHere: true,
	})
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	serving, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { served <- started.Run(serving) }()

	// The demo ends first: it uses the broker.
	demoing, end := context.WithCancel(ctx)
	defer end()
	var running sync.WaitGroup
	d := &demo{Server: started, Options: o, troubles: &troubles{cut: cut, look: make(chan chan struct{})}}
	if err := d.start(demoing, &running); err != nil {
		log.Warn("no example decider and no printing of events", "reason", err.Error())
	}
	address, err := d.startDesk(demoing, &running, ofDesk, deskTrial(d, key, seen))
	if err != nil {
		end()
		running.Wait()
		stop()
		return errors.Join(err, <-served)
	}
	d.printBanner(address, key)
	select {
	case err = <-served:
	case <-ctx.Done():
		end()
		running.Wait()
		stop()
		err = <-served
	}
	fmt.Fprintln(o.Stdout, "Stopped.")
	return err
}

// LogLevel is the minimum level of log lines unless it is set: what dev shows is on the
// standard output already.
const LogLevel = "warn"

// defaultsOf has a value for every variable that dev needs, and the key that it made
// unless keys are given. A default port that is taken gives way to a free one; one that
// was set does not.
func defaultsOf(environ []string) (defaults map[string]string, key string, err error) {
	dir := devDir
	if set, ok := config.Lookup(environ, config.Prefix+"NATS_STORE_DIR"); ok {
		dir = set
	}
	defaults = map[string]string{
		"SINE_RELAY_LISTEN":       free("127.0.0.1:8080"),
		"SINE_RELAY_ADMIN_LISTEN": free("127.0.0.1:9090"),
		"SINE_RELAY_NATS_LISTEN":  free("127.0.0.1:4222"),
		"SINE_RELAY_DESK_LISTEN":  free("127.0.0.1:8081"),
		"SINE_RELAY_DRAIN_DELAY":  "0s",

		"SINE_RELAY_DESK_ADMIN_LISTEN": free("127.0.0.1:9091"),
		"SINE_RELAY_LOG_LEVEL":         LogLevel,
	}
	if !given(environ, "NATS_URL") {
		defaults["SINE_RELAY_NATS_STORE_DIR"] = dir
	}
	if given(environ, "KEYS") || given(environ, "INTEGRATIONS_FILE") {
		return defaults, "", nil
	}
	if key, err = devKey(filepath.Join(dir, "dev-key")); err != nil {
		return nil, "", fmt.Errorf("the API key of dev: %w", err)
	}
	defaults["SINE_RELAY_KEYS"] = key
	return defaults, key, nil
}

// given reports whether a variable, or its file, was set.
func given(environ []string, name string) bool {
	_, direct := config.Lookup(environ, config.Prefix+name)
	_, file := config.Lookup(environ, config.Prefix+name+"_FILE")
	return direct || file
}

// devKeyForm is what dev takes for an API key in its file.
// A comma separates keys, and # begins a comment.
var devKeyForm = regexp.MustCompile(`^[!"$-+\--~][!-+\--~]{7,}$`)

// devKey makes a key on the first run, and finds it on the next. A file that a power
// cut left empty, or full of zeros, holds none.
func devKey(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	switch key := strings.Trim(string(content), "\x00 \t\r\n"); {
	case key == "":
		return newDevKey(file)
	case !devKeyForm.MatchString(key):
		return "", fmt.Errorf("%s must hold one key, of 8 or more ASCII characters without blanks and commas; remove the file, and the next start makes a new key", file)
	default:
		return key, nil
	}
}

func newDevKey(file string) (string, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return "", err
	}
	key := rand.Text()
	return key, atomicfile.Write(file, []byte(key+"\n"))
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
