package relay

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// stored are events as a relay would have stored them.
func stored(from, visitors int, change ...string) (all []*visit.Event) {
	for n := from; n < from+visitors; n++ {
		e := &visit.Event{ID: fmt.Sprint(n), Kind: visit.KindCheckedIn, Source: visit.Source(visitor(n, "signin_after", change...))}
		e.Integration, e.Received = "lobby", time.Unix(int64(n)*60, 0)
		all = append(all, e)
	}
	return all
}

func TestComparison_FindsWhatIsNotAsConfigured(t *testing.T) {
	t.Parallel()
	expectation, err := fields.ParseExpectation("company")
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := map[fields.Field][]string{fields.Company: {"/data/firma", "/data/zzFirma"}}
	for name, c := range map[string]struct {
		places  map[fields.Field][]string
		expects []fields.Expectation
		events  []*visit.Event
		want    []string
	}{
		"nothing came":                     {nil, nil, nil, nil},
		"all is well":                      {nil, []fields.Expectation{fields.Person, expectation}, stored(0, 60), nil},
		"a place that is used":             {elsewhere, nil, stored(0, 60, renamedCompany...), nil},
		"a place at which nothing is":      {elsewhere, nil, stored(0, 8, `"company"`, `"other"`), []string{"fields.company: none of the last 8 events has it at /data/firma, /data/zzFirma"}},
		"what is at a built-in place":      {elsewhere, nil, stored(0, 60), []string{"fields.company: none of the last 20 events has it at /data/firma, /data/zzFirma; some have it at a built-in place"}},
		"a place, but hardly an event yet": {elsewhere, nil, stored(0, 4), nil},
		"what is expected and missing":     {nil, []fields.Expectation{expectation}, append(stored(0, 9), stored(9, 2, renamedCompany...)...), []string{"expects: 2 of the last 11 events lack company"}},
		"a rename while no relay ran": {nil, nil, append(stored(0, 60), stored(60, 7, renamedCompany...)...),
			[]string{"company is missing from the last 7 bodies of kind checked_in, and was there before; new since then: /data/zzFirma"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := Integration{Name: "lobby", Site: "hq", Fields: compiled(t, c.places), Expects: c.expects}
			reader, err := NewReader(testIntegrations(in, Integration{Name: "broken", Invalid: true}), testLimits)
			if err != nil {
				t.Fatal(err)
			}
			comparison := reader.Compare()
			for _, e := range c.events {
				comparison.Add(e)
			}
			var found []string
			for _, f := range comparison.Findings() {
				if f.Integration != "lobby" || strings.Contains(f.What, "Acme") {
					t.Errorf("found %+v", f)
				}
				found = append(found, f.What)
			}
			if !slices.Equal(found, c.want) || comparison.Events() != len(c.events) {
				t.Errorf("found %q in %d events", found, comparison.Events())
			}
		})
	}
}

func TestComparison_LeavesOutWhatSineDidNotSend(t *testing.T) {
	t.Parallel()
	reader, err := NewReader(testIntegrations(Integration{Name: "lobby", Site: "hq"}, Integration{Name: "broken", Invalid: true}), testLimits)
	if err != nil {
		t.Fatal(err)
	}
	comparison := reader.Compare()
	for _, change := range []func(*visit.Event){
		func(e *visit.Event) { e.Synthetic = true },
		func(e *visit.Event) { e.Corrects = "1" },
		func(e *visit.Event) { e.Source = nil },
		func(e *visit.Event) { e.Source = visit.Source(`"no`) },
		func(e *visit.Event) { e.Integration = "broken" },
		func(e *visit.Event) { e.Integration = "gone" },
	} {
		e := stored(0, 1)[0]
		change(e)
		comparison.Add(e)
	}
	if comparison.Events() != 0 || len(comparison.Findings()) != 0 {
		t.Errorf("%d events, %v", comparison.Events(), comparison.Findings())
	}
}
