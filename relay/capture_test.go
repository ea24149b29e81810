package relay

import (
	"strings"
	"testing"
	"time"
)

func TestCapture_TheShapeOfTheNextDeliveriesIsLogged(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(time.Hour)
	capturing := func(deliveries int, until time.Time) Integration {
		i := Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("first", testKey)}}
		i.Capture = Capture{Deliveries: deliveries, Until: until}
		return i
	}
	r := newRig(t, func(c *Config) { c.Integrations = []Integration{capturing(2, until)} })
	shown := func() int { return strings.Count(r.log.String(), `"msg":"capture"`) }
	body := strings.ReplaceAll(checkedIn, "Ada", "Zmark-Ada")
	for range 5 {
		r.post("/sine/lobby", body)
	}
	if n := shown(); n != 2 {
		t.Errorf("%d of 5 deliveries were shown, want 2", n)
	}
	if log := r.log.String(); strings.Contains(log, "Zmark") || strings.Contains(log, testKey) || !strings.Contains(log, "data.firstName") || !strings.Contains(log, "signin_after") {
		t.Errorf("shown:\n%s", log)
	}
	if err := r.reload(capturing(2, until)); err != nil {
		t.Fatal(err)
	}
	r.post("/sine/lobby", body)
	if n := shown(); n != 2 {
		t.Error("a reload began the capture anew")
	}
	if err := r.reload(capturing(1, until.Add(time.Minute))); err != nil {
		t.Fatal(err)
	}
	r.post("/sine/lobby", "Zmark, no JSON")
	if n := shown(); n != 3 {
		t.Error("another capture shows nothing")
	}
	if err := r.reload(capturing(9, time.Now().Add(-time.Minute))); err != nil {
		t.Fatal(err)
	}
	r.post("/sine/lobby", body)
	if n := shown(); n != 3 || strings.Contains(r.log.String(), "Zmark") {
		t.Error("a capture that has ended shows something")
	}
}
