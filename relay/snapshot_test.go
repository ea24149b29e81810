package relay

import (
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
)

func lobby(keys ...string) Integration {
	i := Integration{Name: "lobby", Site: "hq"}
	for _, k := range keys {
		i.Keys = append(i.Keys, NewKey(k, k+"-0123456789abcdef"))
	}
	return i
}

func with(key string) func(*http.Request) {
	return func(req *http.Request) { req.Header.Set("X-Sine-Auth", key+"-0123456789abcdef") }
}

// Keys are changed in two steps while Sine goes on calling: first both are
// valid, then Sine is given the new one, then the old one goes.
func TestReload_KeysAreRotatedUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Integrations = []Integration{lobby("old")} })
	var key sync.Map
	key.Store("live", "old")
	stop := make(chan struct{})
	var senders sync.WaitGroup
	for range 8 {
		senders.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				live, _ := key.Load("live")
				if w := r.post("/sine/lobby", checkedIn, with(live.(string))); w.Code != 200 {
					t.Errorf("%s was answered %d", live, w.Code)
					return
				}
			}
		})
	}
	if w := r.post("/sine/lobby", checkedIn, with("old")); w.Code != 200 {
		t.Errorf("the old key was answered %d", w.Code)
	}
	for range 20 {
		for _, keys := range [][]string{{"old"}, {"old", "new"}, {"new", "old"}, {"old"}} {
			if err := r.reload(lobby(keys...)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := r.reload(lobby("old", "new")); err != nil {
		t.Fatal(err)
	}
	key.Store("live", "new")
	close(stop)
	senders.Wait()
	if err := r.reload(lobby("new")); err != nil {
		t.Fatal(err)
	}
	if w := r.post("/sine/lobby", checkedIn, with("new")); w.Code != 200 {
		t.Errorf("the new key was answered %d", w.Code)
	}
	if w := r.post("/sine/lobby", checkedIn, with("old")); w.Code != 401 {
		t.Errorf("the old key was answered %d", w.Code)
	}
	used := `sine_relay_api_key_last_used_timestamp_seconds{api_key=`
	switch metrics := string(gather(t, r)); {
	case !strings.Contains(metrics, used+`"new",integration="lobby"} 1.`):
		t.Error("it does not show that the new key was used")
	case strings.Contains(metrics, used+`"old"`):
		t.Error("it shows a key that is not in force")
	}
}

func TestReload_ShowsWhichKeysAreInForce(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Integrations = []Integration{lobby("old")} })
	shown := func() (keys []string) {
		for line := range strings.Lines(string(gather(t, r))) {
			if series, ok := strings.CutPrefix(line, "sine_relay_api_key_last_used_timestamp_seconds"); ok {
				name, value, _ := strings.Cut(strings.TrimSpace(series), " ")
				keys = append(keys, name+map[bool]string{true: " never", false: " used"}[value == "0"])
			}
		}
		return keys
	}
	for _, step := range []struct {
		in, with string
		want     []string
	}{
		{"old", "old", []string{`{api_key="old",integration="lobby"} used`}},
		{"old new", "", []string{`{api_key="new",integration="lobby"} never`, `{api_key="old",integration="lobby"} used`}},
		{"new old", "new", []string{`{api_key="new",integration="lobby"} used`, `{api_key="old",integration="lobby"} used`}},
		{"new", "old", []string{`{api_key="new",integration="lobby"} used`}},
		{"old new", "", []string{`{api_key="new",integration="lobby"} used`, `{api_key="old",integration="lobby"} never`}},
	} {
		if err := r.reload(lobby(strings.Fields(step.in)...)); err != nil {
			t.Fatal(err)
		}
		if step.with != "" {
			r.post("/sine/lobby", checkedIn, with(step.with))
		}
		if got := shown(); !slices.Equal(got, step.want) {
			t.Errorf("with the keys %q, after a use of %q: %q, want %q", step.in, step.with, got, step.want)
		}
	}
}

// Keys without a name are called by their places in the file. What a key was used
// for must not count for another that takes its place.
func TestReload_AKeyKeepsItsLastUse(t *testing.T) {
	t.Parallel()
	called := func(name, secret string) Key { return NewKey(name, secret+"-0123456789abcdef") }
	in := lobby()
	in.Keys = []Key{called("lobby#1", "old")}
	r := newRig(t, func(c *Config) { c.Integrations = []Integration{in} })
	r.post("/sine/lobby", checkedIn, with("old"))
	in.Keys = []Key{called("lobby#1", "new"), called("lobby#2", "old")}
	if err := r.reload(in); err != nil {
		t.Fatal(err)
	}
	metrics := string(gather(t, r))
	for _, want := range []string{`"lobby#1",integration="lobby"} 0`, `"lobby#2",integration="lobby"} 1.`} {
		if !strings.Contains(metrics, `sine_relay_api_key_last_used_timestamp_seconds{api_key=`+want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestReload_AddsAndRemovesIntegrations(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Integrations = []Integration{lobby("k")} })
	dock := lobby("k")
	dock.Name = "dock"
	if err := r.reload(dock); err != nil {
		t.Fatal(err)
	}
	if w := r.post("/sine/dock", checkedIn, with("k")); w.Code != 200 {
		t.Errorf("the new integration: %d", w.Code)
	}
	if w := r.post("/sine/lobby", checkedIn, with("k")); w.Code != 401 {
		t.Errorf("the removed integration: %d", w.Code)
	}
	if metrics := string(gather(t, r)); !strings.Contains(metrics, `sine_relay_events_received_total{integration="dock"} 1`) {
		t.Error("the new integration is not counted")
	}
}

func TestReload_AnInvalidOneChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { c.Integrations = []Integration{lobby("k")} })
	if err := r.reload(lobby("other"), Integration{Name: "dock", Site: "a.b"}); err == nil || !strings.Contains(err.Error(), `"dock": site "a.b" must match`) {
		t.Errorf("%v", err)
	}
	if w := r.post("/sine/lobby", checkedIn, with("k")); w.Code != 200 {
		t.Errorf("answered %d", w.Code)
	}
}
