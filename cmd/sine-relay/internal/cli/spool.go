package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// A volume that a relay left behind, scaled away or moved, keeps its visitors.
// These commands show and empty it, from wherever it is mounted.

func newSpool(in Process) *cobra.Command {
	return newGroup("spool", "Show and empty a spool that no relay has open.",
		"  sine-relay spool drain --dir /var/lib/sine-relay/spool", newSpoolLs(in), inContext(in, newSpoolDrain))
}

// spoolList is what `spool ls --output json` prints.
type spoolList struct {
	Messages []spooledMessage `json:"messages"`
	Waiting  int              `json:"waiting"`
}

type spooledMessage struct {
	ID          string    `json:"id"`
	Subject     string    `json:"subject"`
	Integration string    `json:"integration,omitempty"`
	Spooled     time.Time `json:"spooled"`
	Attempts    int       `json:"attempts"`
}

func newSpoolLs(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "ls", Short: "List the messages of a spool, without personal data.",
		Example: "  sine-relay spool ls --dir /var/lib/sine-relay/spool --output json",
	}
	dir, format := addSpoolDir(cmd, in), addOutput(cmd)
	cmd.RunE = func(*cobra.Command, []string) error { return listSpool(in, *format, *dir) }
	return cmd
}

// addSpoolDir is the directory that the command line names, or else the settings.
func addSpoolDir(cmd *cobra.Command, in Process) *string {
	preset, _ := config.Lookup(in.Environ, config.Prefix+"SPOOL_DIR")
	dir := cmd.Flags().String("dir", preset, "`directory` of the spool; without it, SINE_RELAY_SPOOL_DIR")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if *dir == "" {
			return usagef("--dir is missing, and SINE_RELAY_SPOOL_DIR is not set")
		}
		return nil
	}
	// The flag was defined above: there is no error.
	_ = cmd.MarkFlagDirname("dir")
	return dir
}

func listSpool(in Process, format, dir string) error {
	left, err := spool.OpenExisting(dir, nil)
	if err != nil {
		return err
	}
	defer left.Close()
	list := spoolList{[]spooledMessage{}, left.Stats().Entries}
	err = left.Each(func(i spool.Item) error {
		m := spooledMessage{ID: i.Message.ID, Subject: i.Message.Subject, Spooled: i.Stored, Attempts: i.Attempts}
		if name := i.Message.Header[visit.HeaderIntegration]; len(name) > 0 {
			m.Integration = name[0]
		}
		list.Messages = append(list.Messages, m)
		return nil
	})
	return errors.Join(list.print(in.Stdout, format), err)
}

func (l spoolList) print(out io.Writer, format string) error {
	if format == asJSON {
		return printJSON(out, l)
	}
	if len(l.Messages) > 0 {
		table := newTable(out, "SPOOLED", "ATTEMPTS", "SUBJECT", "INTEGRATION", "ID")
		for _, m := range l.Messages {
			table.row(formatTime(m.Spooled), m.Attempts, m.Subject, m.Integration, m.ID)
		}
		table.flush()
	}
	fmt.Fprintf(out, "%s in the spool.\n", plural(l.Waiting, "message"))
	return nil
}

func newSpoolDrain(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "drain", Short: "Send the messages of a spool to NATS, as a relay would.",
		Long: "It ends with 0 when the spool is empty. A signal ends it earlier, and what was not sent stays in the\n" +
			"spool.",
		Example: "  sine-relay spool drain --dir /var/lib/sine-relay/spool",
	}
	dir := addSpoolDir(cmd, in)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return drainSpool(cmd.Context(), in, *dir) }
	return cmd
}

func drainSpool(ctx context.Context, in Process, dir string) error {
	settings, err := in.settings(config.LoadForOperator)
	if err != nil {
		return err
	}
	if settings.NATSURL == "" {
		return settingError{errors.New("set SINE_RELAY_NATS_URL, or name a context with --context: a spool is drained into an existing NATS only")}
	}
	left, err := spool.OpenExisting(dir, nil)
	if err != nil {
		return err
	}
	defer left.Close()
	level := settings.Level
	if !settings.IsSet("SINE_RELAY_LOG_LEVEL") {
		level = slog.LevelWarn // that it connects is no news to whoever waits
	}
	log, flush := server.NewLogger(in.Stderr, level, settings.LogFormat)
	defer flush()
	cfg := server.BrokerConfig(settings, nil, log, prometheus.NewRegistry())
	cfg.Spool = left
	b, err := broker.Connect(cfg)
	if err != nil {
		return err
	}
	defer b.Close(context.Background())
	before, _ := left.Usage()
	waiting := awaitEmpty(ctx, left, newProgress(in.Stderr))
	fmt.Fprintf(in.Stdout, "%s sent, %d left.\n", plural(before-waiting, "message"), waiting)
	if waiting > 0 {
		for _, line := range b.Status().Lines() {
			fmt.Fprintln(in.Stderr, terminal.Printable(line))
		}
		return errReported
	}
	return nil
}

// awaitEmpty returns how many messages are left when ctx ends or none is.
func awaitEmpty(ctx context.Context, left *spool.Spool, p *progress) (waiting int) {
	defer p.clear()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	before, _ := left.Usage()
	for {
		waiting, _ = left.Usage()
		if waiting == 0 || ctx.Err() != nil {
			return waiting
		}
		p.show("%d of %s sent", before-waiting, plural(before, "message"))
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}
