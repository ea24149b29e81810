package streams

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// The levels are those of NATS' versions.
func TestBatches_AreForServersThatSyncThemOnceAndTheRestIsSaid(t *testing.T) {
	const update, edit = "update NATS to 2.15 or newer", "nats stream edit VISITORS --allow-batch"
	for _, c := range []struct {
		version, level string
		allowed        bool
		want, remedy   string
	}{
		{"2.15", "5", true, "", ""},
		{"newer", "6", true, "", ""},
		{"2.15, a stream that does not allow them", "5", false, "the stream does not allow atomic batches", edit},
		{"2.14", "4", true, "NATS is older than 2.15", update},
		{"2.12", "2", true, "NATS is older than 2.15", update},
		{"2.11", "1", false, "NATS is older than 2.15, and the stream does not allow atomic batches", update + ", then " + edit},
		{"2.10", "", false, "NATS is older than 2.15, and the stream does not allow atomic batches", update + ", then " + edit},
	} {
		want := spec{root: visit.RootEvent, name: "VISITORS", batches: true}
		f := found(want, Info{Config: jetstream.StreamConfig{Name: "VISITORS", AllowAtomicPublish: c.allowed, Metadata: map[string]string{"_nats.level": c.level}}})
		if f.batches != (c.want == "") || f.obstacle != c.want || f.remedy != c.remedy {
			t.Errorf("NATS %s: %t, %q, %q", c.version, f.batches, f.obstacle, f.remedy)
		}
		var logged logtest.Buffer
		r := New(Config{StoreFault: func(string) error { return nil }}, Options{Logger: logged.Text()})
		r.streams = []*stream{{want: want}}
		f.fault = nil // the rest of the stream does not matter here
		r.conclude(r.streams[0], f)
		if text := logged.String(); strings.Contains(text, "no group commit") == f.batches || !f.batches && !strings.Contains(text, `"no group commit: `+c.want+`" stream=VISITORS remedy="`+c.remedy+`"`) {
			t.Errorf("NATS %s: the log says %s", c.version, text)
		}
	}
}
