package relay

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sine-relay/sine-relay/visit"
)

func TestMetrics_FollowTheRules(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	exercise(r)
	problems, err := testutil.GatherAndLint(r.metrics)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// exercise uses every kind of call once.
func exercise(r *rig) {
	for _, body := range []string{checkInBody, checkedIn, checkedOut, "nonsense", workflowBody, checkedIn} {
		r.post("/sine/lobby", body)
		r.post("/sine/lobby/check-in-success", body)
	}
	failAsk(visit.ErrNoDecider)(r)
	failPublish(visit.ErrDisconnected)(r)
	r.post("/sine/lobby", checkInBody)
	r.post("/sine/lobby", checkedIn)
	r.post("/sine/cellar", checkedIn)
	r.post("/elsewhere", checkedIn)
}

// A counter that first appears with its first increment hides that increment
// from rate().
func TestMetrics_NoSeriesOfAnIntegrationAppearsLate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := series(string(gather(t, r)))
	exercise(r)
	for name := range series(string(gather(t, r))) {
		// Which fields a body has is not known before. Nothing looks at a rate of them.
		ofField := strings.HasPrefix(name, "sine_relay_fields_total") || strings.HasPrefix(name, "sine_relay_field_found_timestamp_seconds")
		if strings.Contains(name, `integration="`) && !before[name] && !ofField {
			t.Errorf("appeared late: %s", name)
		}
	}
}

func series(text string) map[string]bool {
	names := map[string]bool{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			names[line[:strings.LastIndexByte(strings.TrimSpace(line), ' ')]] = true
		}
	}
	return names
}

func TestMetrics_HistogramsAreClassicAndNative(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	exercise(r)
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h != nil && (h.Schema == nil || len(h.GetBucket()) == 0) {
				t.Errorf("%s is not both", f.GetName())
			}
		}
	}
}
