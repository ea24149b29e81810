package desk

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestMetrics_CountRequestsByPageAndStatus(t *testing.T) {
	f := newFixture(t, stored())
	f.read(t)
	f.get(t, "vera", "/")
	f.get(t, "vera", "/visit?event=unknown")
	f.get(t, "nemo", "/decisions")
	f.get(t, "vera", "/"+markedLast+"/"+markedFirst)
	f.post(t, "vera", "/decisions.csv")
	for _, c := range []struct{ page, code string }{{"doors", "2xx"}, {"visit", "4xx"}, {"decisions", "4xx"}, {"other", "4xx"}, {"decisions", "2xx"}} {
		if n := promtest.Sum(t, f.reg, "sine_relay_desk_requests_total", "page", c.page, "code", c.code); n != 1 {
			t.Errorf("%v requests of %s ended in %s", n, c.page, c.code)
		}
	}
	if n := promtest.Sum(t, f.reg, "sine_relay_desk_following"); n != 1 {
		t.Errorf("following is %v", n)
	}
}

func TestMetrics_AreNamedAndDescribedAsPrometheusAsks(t *testing.T) {
	f := newFixture(t, stored())
	families, err := f.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 || len(families) == 0 {
		t.Errorf("%v, %v", problems, err)
	}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "sine_relay_desk_") {
			t.Errorf("%s is no metric of the desk", family.GetName())
		}
	}
}

func TestPage_ThatOnlyShowsWhatWasStoredSaysWhenNATSGoesAway(t *testing.T) {
	f := newFixture(t, stored())
	f.read(t)
	for _, path := range []string{"/decisions", "/visit", "/quarantine", "/audit"} {
		if a := f.get(t, "vera", path); a.status != http.StatusOK || !strings.Contains(a.text, `data-events="/events?of=page"`) {
			t.Errorf("%s follows nothing", path)
		}
	}
	f.broker.set(func() { f.broker.away = visit.ErrDisconnected })
	f.feed.Look(t.Context())
	f.stream(t, "vera", "/events?of=page", "NATS cannot be reached")
	f.stream(t, "vera", "/events?of=orders", "it is not known whether one is in force")
}
