package desk_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// BenchmarkRecords reads 100,000 records of 30 days, of which a tenth are rejections.
func BenchmarkRecords(b *testing.B) {
	s := natstest.Start(b, func(o *server.Options) { o.JetStreamMaxStore = 1 << 30 })
	js := s.JetStream()
	_, err := js.CreateStream(b.Context(), jetstream.StreamConfig{Name: visit.DefaultDecisionStream, Subjects: []string{"visitors.v1.decision.>"}, AllowDirect: true})
	if err != nil {
		b.Fatal(err)
	}
	const messages = 100_000
	start := time.Now().Add(-30 * 24 * time.Hour)
	for i := range messages {
		r := record([]string{"hq", "lab", "branch"}[i%3], visit.Accept, start.Add(time.Duration(i)*26*time.Second))
		if i%10 == 0 {
			r.Verdict = visit.Reject
		}
		m, err := r.Message(visit.Subjects{})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := js.PublishMsgAsync(natsMsg(m)); err != nil {
			b.Fatal(err)
		}
		if i%1000 == 999 {
			<-js.PublishAsyncComplete()
		}
	}
	<-js.PublishAsyncComplete()
	d := deskOn(b, s)
	for name, c := range map[string]struct{ site, result string }{
		"all": {"", ""}, "one site": {"hq", ""}, "rejected": {"", visit.ResultRejected},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n := 0
				err := d.Records(b.Context(), c.site, c.result, start, time.Time{}, func(visit.Record) error { n++; return nil })
				if err != nil || n == 0 {
					b.Fatal(n, err)
				}
				b.ReportMetric(float64(n), "records")
			}
		})
	}
}
