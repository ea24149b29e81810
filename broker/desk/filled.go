package desk

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/internal/pause"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// looksAtAudit is how often one looks how full the audit's stream is; less often where
	// NATS refuses it, since the server logs each refusal.
	looksAtAudit       = time.Minute
	looksAtAuditDenied = time.Hour
	looksAgain         = time.Second // while NATS is away
	// nearlyFull is the part of the stream from which on the log warns.
	nearlyFull = 0.8
)

// AuditFilled asks NATS which part of the audit's stream is taken, from 0 to 1. At 1,
// nothing is done at the desk any more that must be recorded first. The error wraps
// visit.ErrStreamMissing where there is no stream yet.
func (d *Desk) AuditFilled(ctx context.Context) (part float64, err error) {
	name := d.cfg.Streams.Audit.Name
	info, err := d.views.Stream(ctx, name)
	if err != nil {
		d.filled.WithLabelValues(name).Set(math.NaN())
		return 0, err
	}
	part = filled(info)
	d.filled.WithLabelValues(name).Set(part)
	if part >= nearlyFull && d.nearlyFull.Due(name, time.Now()) > 0 {
		d.log.Warn("the stream of what is done at the desk is nearly full: once it is, no name is shown and no override given",
			"stream", name, "percent", int(100*part), "remedy", fmt.Sprintf("nats stream edit %s --max-bytes with a larger limit", name))
	}
	return part, nil
}

// filled is the part of its limits that a stream has taken. One that makes room by
// dropping the oldest is never full.
func filled(info *jetstream.StreamInfo) (part float64) {
	if info.Config.Discard != jetstream.DiscardNew {
		return 0
	}
	if most := info.Config.MaxBytes; most > 0 {
		part = float64(info.State.Bytes) / float64(most)
	}
	if most := info.Config.MaxMsgs; most > 0 {
		part = max(part, float64(info.State.Msgs)/float64(most))
	}
	return min(part, 1)
}

// watchAudit looks how full the stream is until ctx ends.
func (d *Desk) watchAudit(ctx context.Context) {
	for ctx.Err() == nil {
		ask, cancel := context.WithTimeout(ctx, storeTimeout)
		_, err := d.AuditFilled(ask)
		cancel()
		next := looksAtAudit
		switch {
		case errors.Is(err, visit.ErrDenied):
			next = looksAtAuditDenied
		case errors.Is(err, visit.ErrDisconnected):
			next = looksAgain
		}
		pause.For(ctx, next)
	}
}
