package broker

import (
	"context"
	"errors"
	"fmt"
)

// check looks at everything once. What was found before stands while NATS is
// away.
func (k *keeper) check(ctx context.Context) {
	if !k.link.stands() {
		return
	}
	fault, err := k.overlap(ctx)
	if err != nil {
		for _, s := range k.streams {
			k.conclude(s, finding{pending: err})
		}
		return
	}
	if fault == nil {
		fault = k.payloadFault()
	}
	k.mu.Lock()
	k.general = fault
	k.mu.Unlock()
	if fault != nil {
		k.tell(fault)
	}
	for _, s := range k.streams {
		k.conclude(s, k.look(ctx, s))
	}
}

// payloadFault compares NATS' limit with our largest message.
func (k *keeper) payloadFault() error {
	limit := k.link.nc.MaxPayload()
	if limit == 0 || limit >= k.largest {
		return nil
	}
	return fmt.Errorf("NATS accepts messages of at most %d bytes, the largest of the relay has %d: raise max_payload of the NATS server or lower the relay's body limit", limit, k.largest)
}

// conclude takes over what was found about a stream.
func (k *keeper) conclude(s *stream, f finding) {
	if f.pending == nil {
		k.metrics.setStream(s.want.name, f)
	}
	k.mu.Lock()
	fresh := !s.verified && f.fit()
	s.verified = s.verified || f.fit()
	s.pending = f.pending
	if f.pending == nil {
		s.fault, s.drift = f.fault, f.drift
		k.doubt(s)
		k.relieve(s, f.level)
	} else if s.refusal != nil {
		s.refusal.interrupted = true
	}
	k.mu.Unlock()
	if f.pending != nil {
		return
	}
	if looked := k.looked[s.want.root]; looked != nil {
		looked(f.bytes, f.limit)
	}
	if f.fault != nil {
		k.tell(f.fault)
	}
	for _, line := range f.drift.lines(s.want.name) {
		k.tell(errors.New(line))
	}
	if fresh {
		k.log.Info("stream verified", "stream", s.want.name)
	}
}

// tell warns of each thing once.
func (k *keeper) tell(what error) {
	k.mu.Lock()
	again := k.told[what.Error()]
	k.told[what.Error()] = true
	k.mu.Unlock()
	if !again {
		k.log.Warn("streams", "found", what.Error())
	}
}
