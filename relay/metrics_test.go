package relay

import (
	"bytes"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"

	"github.com/sine-relay/sine-relay/visit"
)

// gather returns what a scrape would show.
func gather(t *testing.T, r *rig) []byte {
	t.Helper()
	families, err := r.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, f := range families {
		if _, err := expfmt.MetricFamilyToText(&out, f); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func TestMetricsFollowTheRules(t *testing.T) {
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
func TestNoSeriesOfAnIntegrationAppearsLate(t *testing.T) {
	r := newRig(t)
	before := series(string(gather(t, r)))
	exercise(r)
	for name := range series(string(gather(t, r))) {
		if strings.Contains(name, `integration="`) && !before[name] {
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

func TestRepeatsAreCountedByTheTimeSinceTheFirst(t *testing.T) {
	r := newRig(t)
	r.post("/sine/lobby", checkedIn)
	if !strings.Contains(string(gather(t, r)), "sine_relay_event_duplicate_age_seconds_count 0") {
		t.Error("the first was counted as a repeat")
	}
	r.post("/sine/lobby", checkedIn)
	if !strings.Contains(string(gather(t, r)), "sine_relay_event_duplicate_age_seconds_count 1") {
		t.Error("the repeat was not counted")
	}
}

func TestHistogramsAreClassicAndNative(t *testing.T) {
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
