package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

func newQuarantineReplay(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "replay [sequence...]", Short: "Read messages again, as after a change of the configuration, and store them.",
		Long: "Without --submit nothing is changed: the command prints what would be stored. Without sequence\n" +
			"numbers, every message that the flags select is meant.",
		Example: "  sine-relay quarantine replay --reason unknown_event\n  sine-relay quarantine replay 17 18 --submit --delete",
	}
	var r replay
	r.flags(cmd)
	cmd.Flags().BoolVar(&r.submit, "submit", false, "store the events")
	cmd.Flags().BoolVar(&r.again, "again", false, "give each event a new id, so that it is stored although it is there: it counts as another visit")
	cmd.Flags().BoolVar(&r.delete, "delete", false, "with --submit, delete from the quarantine what is stored")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := r.parse(args); err != nil {
			return err
		}
		if r.delete && !r.submit {
			return usagef("--delete needs --submit")
		}
		return r.run(cmd.Context(), in)
	}
	return cmd
}

// reread reads a quarantined body as the relay with these settings would.
func reread(settings config.Settings, k admin.Kept) (*visit.Event, error) {
	if k.Fault != nil {
		return nil, k.Fault
	}
	reader, err := relay.NewReader(settings.Integrations, server.Limits(settings))
	if err != nil {
		return nil, err
	}
	return reader.Event(k.Quarantined)
}

// replayOf says what a replay would make of a message.
func replayOf(settings config.Settings, k admin.Kept) string {
	e, err := reread(settings, k)
	if err != nil {
		return "would stay: " + err.Error()
	}
	return fmt.Sprintf("would become %s of site %s with id %s", e.Kind, e.Site, e.ID)
}

// replay is one run over the quarantine.
type replay struct {
	selection
	submit, again, delete bool

	settings config.Settings
	q        *admin.Quarantine
	table    *table

	ready, stored, duplicates, stays, failed int
}

// run reads messages again and, when asked, submits them.
func (r *replay) run(ctx context.Context, in Process) (err error) {
	if r.q, r.settings, err = openQuarantine(ctx, in, integrationSettings); err != nil {
		return err
	}
	defer r.q.Close()
	r.table = newTable(in.Stdout, "SEQUENCE", "RECEIVED", "INTEGRATION", "REASON", "RESULT")
	n, err := r.all(ctx, newProgress(in.Stderr))
	if n > 0 {
		r.table.flush()
	}
	r.sumUp(in.Stdout)
	if err == nil && r.failed > 0 {
		err = errors.New("not all could be stored; those are still in the quarantine")
	}
	return err
}

// all goes through the messages that are selected, and counts them.
func (r *replay) all(ctx context.Context, p *progress) (n int, err error) {
	defer p.clear()
	var chosen []uint64
	err = r.q.Each(ctx, func(k admin.Kept) error {
		if r.holds(k) {
			chosen = append(chosen, k.Sequence)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, sequence := range chosen {
		getting, cancel := context.WithTimeout(ctx, natsTimeout)
		k, err := r.q.Get(getting, sequence)
		cancel()
		if err != nil {
			return n, err
		}
		result := r.one(ctx, k)
		r.table.row(k.Sequence, formatTime(k.Received), k.Integration, reasonOf(k), result)
		n++
		p.show("%d of %s read", n, plural(len(chosen), "message"))
	}
	return n, nil
}

// one says what became of a message.
func (r *replay) one(ctx context.Context, k admin.Kept) string {
	e, err := reread(r.settings, k)
	if err != nil {
		r.stays++
		return "stays: " + err.Error()
	}
	if r.again {
		e.ID = visit.EventID(e.Integration, e.Kind, visit.Fingerprint{})
	}
	what := fmt.Sprintf("%s of site %s, id %s", e.Kind, e.Site, e.ID)
	if !r.submit {
		r.ready++
		return "would store " + what
	}
	ctx, cancel := context.WithTimeout(ctx, natsTimeout)
	defer cancel()
	receipt, err := r.q.Submit(ctx, e)
	if err != nil {
		r.failed++
		return "failed: " + err.Error()
	}
	result := "stored " + what
	if receipt.Duplicate {
		r.duplicates++
		result = "duplicate: already stored, " + what
	} else {
		r.stored++
	}
	if r.delete {
		result += r.remove(ctx, k)
	}
	return result
}

func (r *replay) remove(ctx context.Context, k admin.Kept) string {
	if err := r.q.Delete(ctx, k.Sequence); err != nil {
		r.failed++
		return ", but: " + err.Error()
	}
	return ", deleted here"
}

func (r *replay) sumUp(out io.Writer) {
	if r.submit {
		fmt.Fprintf(out, "%d stored, %d duplicates, %d failed, %d stay.\n", r.stored, r.duplicates, r.failed, r.stays)
		return
	}
	fmt.Fprintf(out, "%d would be stored, %d stay. Nothing was changed; --submit stores them.\n", r.ready, r.stays)
}
