package outbox_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/visit"
)

// The server is in the same process, and so in the numbers.
func BenchmarkStore(b *testing.B) {
	for _, c := range []struct {
		name          string
		synced, group bool
	}{
		{"default sync", false, false},
		{"each synced, alone", true, false},
		{"each synced, in batches", true, true},
	} {
		for _, senders := range []int{1, 64, 256} {
			b.Run(fmt.Sprintf("%s, %d senders", c.name, senders), func(b *testing.B) {
				s := natstest.Start(b, func(o *server.Options) { o.SyncAlways = c.synced })
				r := open(b, s.URL(), func(_ *dial.Config, cfg *streams.Config) {
					cfg.GroupCommit, cfg.Events.MaxBytes = c.group, 8<<30
				})
				body := make([]byte, 1500)
				b.SetParallelism(senders) // for each processor
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						m := event(visit.NewRequestID())
						m.Data = body
						if _, err := r.Store(b.Context(), m); err != nil {
							b.Error(err)
						}
					}
				})
			})
		}
	}
}
