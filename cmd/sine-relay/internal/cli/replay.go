package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// reread reads a quarantined body as the relay with these settings would.
func reread(settings config.Settings, k broker.Kept) (*visit.Event, error) {
	if k.Fault != nil {
		return nil, k.Fault
	}
	reader, err := relay.NewReader(settings.Integrations, server.Limits(settings))
	if err != nil {
		return nil, err
	}
	return reader.Event(k.Quarantined)
}

func verdictOf(settings config.Settings, k broker.Kept) string {
	e, err := reread(settings, k)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("would become %s of site %s with id %s", e.Kind, e.Site, e.ID)
}

// replay is one run over the quarantine.
type replay struct {
	selection
	submit, again, delete bool

	settings config.Settings
	q        *broker.Quarantine
	table    *table

	ready, stored, duplicates, stays, failed int
}

// quarantineReplay reads messages again and, when asked, submits them.
func quarantineReplay(ctx context.Context, in Process) int {
	var r replay
	f := r.flags("replay", in)
	f.BoolVar(&r.submit, "submit", false, "store them; without it nothing is changed")
	f.BoolVar(&r.again, "again", false, "give each a new id, so that it is stored although it is there: it counts as another visit")
	f.BoolVar(&r.delete, "delete", false, "delete from the quarantine what is stored")
	if r.parse(f, in.Args) != nil {
		return exitUsage
	}
	if r.delete && !r.submit {
		complain(f, "--delete needs --submit")
		return exitUsage
	}
	var code int
	if r.q, r.settings, code = openQuarantine(ctx, in, integrationSettings); r.q == nil {
		return code
	}
	defer r.q.Close()
	r.table = newTable(in.Stdout, "SEQUENCE", "RECEIVED", "INTEGRATION", "REASON", "RESULT")
	err := r.run(ctx)
	r.table.flush()
	r.sumUp(in.Stdout)
	if err == nil && r.failed > 0 {
		err = errors.New("not all could be stored; those are still in the quarantine")
	}
	return orderly(in, err)
}

// run goes through the messages that are selected.
func (r *replay) run(ctx context.Context) error {
	var chosen []uint64
	err := r.q.Each(ctx, func(k broker.Kept) error {
		if r.holds(k) {
			chosen = append(chosen, k.Sequence)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, sequence := range chosen {
		getting, cancel := context.WithTimeout(ctx, natsTimeout)
		k, err := r.q.Get(getting, sequence)
		cancel()
		if err != nil {
			return err
		}
		result := r.one(ctx, k)
		r.table.row(k.Sequence, formatTime(k.Received), k.Integration, reasonOf(k), result)
	}
	return nil
}

// one tells what became of a message.
func (r *replay) one(ctx context.Context, k broker.Kept) string {
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
		result += r.forget(ctx, k)
	}
	return result
}

func (r *replay) forget(ctx context.Context, k broker.Kept) string {
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
