package relaytest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/relaytest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// recorder is a test that may fail, and ends then with what it has started.
type recorder struct {
	*testing.T
	failed string
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.failed = fmt.Sprintf(format, args...)
	panic(r)
}

func (r *recorder) Fatal(args ...any) { r.Fatalf("%s", fmt.Sprint(args...)) }

func (r *recorder) Errorf(format string, args ...any) { r.failed = fmt.Sprintf(format, args...) }

// watched is a test of which is known what it prints.
type watched struct {
	*testing.T
	fails   bool
	printed string
}

func (w *watched) Failed() bool { return w.fails }

func (w *watched) Logf(format string, args ...any) { w.printed += fmt.Sprintf(format, args...) }

func TestStart_PrintsWhatTheRelayLogsWhenTheTestFails(t *testing.T) {
	for _, fails := range []bool{true, false} {
		w := &watched{fails: fails}
		t.Run("inner", func(t *testing.T) {
			w.T = t
			relaytest.Start(w).CheckIn(subscribertest.Visitor())
		})
		if logged := strings.Contains(w.printed, "kind=check_in_request"); logged != fails || w.printed == "" == fails {
			t.Errorf("a test that fails: %t, printed %q", fails, w.printed)
		}
		if strings.Contains(w.printed, "Oyelaran") {
			t.Error("the log has a visitor's name")
		}
	}
}

func TestStart_FailsTheTestInWords(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		test func(t testing.TB)
		want string
	}{
		"an unknown setting": {func(t testing.TB) { relaytest.Start(t, relaytest.Setting("SINE_RELAY_DECISION_BUGDET", "1s")) },
			"SINE_RELAY_DECISION_BUGDET: unknown setting"},
		"an invalid integration": {func(t testing.TB) { relaytest.Start(t, relaytest.Integrations("{integrations: [{name: a b}]}")) },
			"name"},
		"a file that is no YAML": {func(t testing.TB) { relaytest.Start(t, relaytest.Integrations("{")) },
			"integrations.yaml"},
		"a port that is taken": {func(t testing.TB) {
			taken := strings.TrimPrefix(relaytest.Start(t).AdminURL(), "http://")
			relaytest.Start(t, relaytest.Setting("SINE_RELAY_LISTEN", taken))
		}, "address already in use"},
		"a visit elsewhere": {func(t testing.TB) {
			v := subscribertest.Visitor()
			v.Integration = "plant-gate"
			relaytest.Start(t).CheckIn(v)
		}, `no integration "plant-gate", it has ["default"]`},
		"a visit in another time zone": {func(t testing.TB) {
			relaytest.Start(t, relaytest.Setting("SINE_RELAY_TIME_ZONE", "Europe/Zurich")).CheckIn(subscribertest.Visitor())
		}, `the visit is in the time zone Australia/Adelaide, the integration "default" in Europe/Zurich: set the field TimeZone`},
		"an event in another time zone": {func(t testing.TB) {
			v := subscribertest.Visitor()
			v.TimeZone = ""
			relaytest.Start(t).CheckedOut(v)
		}, `the visit is in the time zone UTC, the integration "default" in Australia/Adelaide`},
		"an event that is refused": {func(t testing.TB) {
			relaytest.Start(t, relaytest.Setting("SINE_RELAY_BODY_LIMIT", "1KiB")).CheckedIn(subscribertest.LargeAnswers())
		}, "checked_in was answered 413"},
		"a decider that cannot start": {func(t testing.TB) {
			relaytest.Start(t).DecideWith(subscriber.DeciderConfig{Version: "one"}, decide)
		}, `the decider ended with decide: field Version must be a semantic version`},
		"an order that is invalid": {func(t testing.TB) { relaytest.Start(t).Order(visit.Order{Kind: visit.OrderOverride, Site: "hq"}) },
			"give order"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{T: t}
			defer func() {
				if v := recover(); v != nil && v != any(r) {
					panic(v)
				}
				if !strings.Contains(r.failed, c.want) {
					t.Errorf("%s", r.failed)
				}
			}()
			c.test(r)
		})
	}
}
