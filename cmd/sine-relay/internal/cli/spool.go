package cli

import (
	"context"
	"flag"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/spool"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// A volume that a relay left behind, scaled away or moved, keeps its visitors.
// These commands show and empty it, from wherever it is mounted.

// spoolList shows what waits, and nothing personal.
func spoolList(_ context.Context, in Process) int {
	dir, code := spoolDir(in, "ls")
	if code != exitOK {
		return code
	}
	left, err := spool.OpenExisting(dir, nil)
	if err != nil {
		return orderly(in, err)
	}
	defer left.Close()
	table := newTable(in.Stdout, "WAITING SINCE", "ATTEMPTS", "SUBJECT", "INTEGRATION", "ID")
	err = left.Each(func(i spool.Item) error {
		integration := ""
		if name := i.Message.Header[visit.HeaderIntegration]; len(name) > 0 {
			integration = name[0]
		}
		table.row(formatTime(i.Stored), i.Attempts, i.Message.Subject, integration, i.Message.ID)
		return nil
	})
	table.flush()
	fmt.Fprintf(in.Stdout, "%d messages wait.\n", left.Stats().Entries)
	return orderly(in, err)
}

// spoolDir is the directory that the command line names, or else the settings.
func spoolDir(in Process, name string) (dir string, code int) {
	f := flag.NewFlagSet("sine-relay spool "+name, flag.ContinueOnError)
	f.SetOutput(in.Stderr)
	preset, _ := config.Lookup(in.Environ, config.Prefix+"SPOOL_DIR")
	f.StringVar(&dir, "dir", preset, "the spool's directory; SINE_RELAY_SPOOL_DIR unless given")
	if f.Parse(in.Args) != nil {
		return "", exitUsage
	}
	if dir == "" || f.NArg() > 0 {
		fmt.Fprintf(in.Stderr, "usage: sine-relay spool %s --dir DIR\n", name)
		return "", exitUsage
	}
	return dir, exitOK
}

// spoolDrain sends what waits to the NATS of the settings, and returns when
// nothing is left or a signal comes.
func spoolDrain(ctx context.Context, in Process) int {
	dir, code := spoolDir(in, "drain")
	if code != exitOK {
		return code
	}
	settings, err := config.LoadForOperator(in.Environ)
	if err != nil {
		return misconfigured(in, err)
	}
	if settings.NATSURL == "" {
		fmt.Fprintln(in.Stderr, "sine-relay: set SINE_RELAY_NATS_URL: only an existing NATS can be drained into")
		return exitUsage
	}
	left, err := spool.OpenExisting(dir, nil)
	if err != nil {
		return orderly(in, err)
	}
	defer left.Close()
	log, flush := server.NewLogger(in.Stderr, settings.Level, settings.LogFormat)
	defer flush()
	cfg := server.BrokerConfig(settings, nil, log, prometheus.NewRegistry())
	cfg.Spool = left
	b, err := broker.Connect(cfg)
	if err != nil {
		return orderly(in, err)
	}
	defer b.Close(context.Background())
	before, _ := left.Usage()
	waiting := awaitEmpty(ctx, left)
	fmt.Fprintf(in.Stdout, "%d messages were sent, %d wait.\n", before-waiting, waiting)
	if waiting > 0 {
		for _, line := range b.Status().Lines() {
			fmt.Fprintln(in.Stderr, terminal.Printable(line))
		}
		return exitFailed
	}
	return exitOK
}

// awaitEmpty returns how many messages are left when ctx ends or none is.
func awaitEmpty(ctx context.Context, left *spool.Spool) (waiting int) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		waiting, _ = left.Usage()
		if waiting == 0 || ctx.Err() != nil {
			return waiting
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
