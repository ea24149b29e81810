package admin

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// LatestEvents calls fn for the events among the last so many messages of their stream,
// oldest first, with what Sine sent. It leaves out what cannot be read. An error wraps
// visit.ErrDenied where the user may not read the stream.
func LatestEvents(ctx context.Context, cfg Config, messages uint64, fn func(*visit.Event)) error {
	cfg, nc, err := connect(cfg)
	if err != nil {
		return err
	}
	defer nc.Close()
	p := &pager{nc: nc, stream: cfg.Streams.Events.Name}
	last, err := p.last(ctx, cfg.Streams.Subjects.All(visit.RootEvent))
	if err != nil || last == 0 {
		return err
	}
	p.next = batch{Sequence: 1}
	if last > messages {
		p.next.Sequence = last - messages + 1
	}
	for more := true; more; {
		var page []*jetstream.RawStreamMsg
		if page, more, err = p.read(ctx); err != nil {
			return err
		}
		for _, m := range page {
			e := &visit.Event{}
			if json.Unmarshal(m.Data, e) == nil && e.Kind.IsEvent() && cfg.Streams.Subjects.Event(e.Site, e.Kind) == m.Subject {
				fn(e)
			}
		}
	}
	return nil
}

// last is the sequence of the last message on the subjects, or 0.
func (p *pager) last(ctx context.Context, subjects string) (sequence uint64, err error) {
	data, err := json.Marshal(struct {
		Subject string `json:"last_by_subj"`
	}{subjects})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, pullWait)
	defer cancel()
	var reply *nats.Msg
	err = whilePermitted(ctx, p.nc, func(ctx context.Context) (err error) {
		reply, err = p.nc.RequestWithContext(ctx, p.subject(), data)
		return err
	})
	if err != nil {
		return 0, p.failed(err)
	}
	m, err := directly(reply)
	if err != nil {
		return 0, fmt.Errorf("read stream %s: %w", p.stream, err)
	}
	if m == nil {
		return 0, nil
	}
	return m.Sequence, nil
}
