package orders_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestKept_StartWithoutItAndNATSLeavesOrdersUnknown(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	put(t, open(t, s), lockdown("hq"))
	s.Stop()
	w := watch(t, s)
	eventually(t, "it says why", func() bool { return errors.Is(w.Status().Err, visit.ErrDisconnected) })
	if all, known := w.Orders(); known || len(all) != 0 || w.Status().Source != orders.SourceNone {
		t.Errorf("%v %v %+v", all, known, w.Status())
	}
	s.Restart()
	sees(t, w, lockdown("hq"))
	follows(t, w)
}

func TestKept_IsUsedAtAStartWithoutNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	file := filepath.Join(t.TempDir(), "orders.json")
	kept := func(c *orders.WatchConfig) { c.SnapshotFile = file }
	first := watch(t, s, kept)
	b := open(t, s)
	put(t, b, lockdown("hq"), override("branch"))
	sees(t, first, lockdown("hq"), override("branch"))
	first.Close()
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	lift(t, b, override("branch"))
	s.Stop()

	second := watch(t, s, kept)
	if all, known := second.Orders(); !known || !slices.Equal(plain(all), []visit.Order{lockdown("hq"), override("branch")}) {
		t.Errorf("%+v, known %v", all, known)
	}
	if st := second.Status(); st.Source != orders.SourceKept || st.AsOf.Before(begun) {
		t.Errorf("%+v", st)
	}
	s.Restart()
	sees(t, second, lockdown("hq"))
	follows(t, second)
}

func TestWatch_SurvivesARestartOfNATS(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	var log logtest.Buffer
	w := watch(t, s, into(&log))
	put(t, open(t, s), lockdown("hq"))
	sees(t, w, lockdown("hq"))
	s.Stop()
	eventually(t, "it says that NATS is away", func() bool { return errors.Is(w.Status().Err, visit.ErrDisconnected) })
	sees(t, w, lockdown("hq"))
	s.Restart()
	b := open(t, s)
	put(t, b, lockdown("branch"))
	lift(t, b, lockdown("hq"))
	sees(t, w, lockdown("branch"))
	follows(t, w)
	if n := strings.Count(log.String(), visit.ErrDisconnected.Error()); n != 1 {
		t.Errorf("the outage was logged %d times:\n%s", n, log.String())
	}
}

func TestWatch_SurvivesALeaderElection(t *testing.T) {
	servers := natstest.Cluster(t, 3)
	var watchers []*orders.Watcher
	for _, s := range servers { // each tells its clients of the others
		w := watch(t, s, func(c *orders.WatchConfig) { c.Replicas = 3 })
		watchers = append(watchers, w)
		sees(t, w)
	}
	b, err := orders.Open(within(t, patience), jetStream(t, servers[0]), bucket, 3)
	if err != nil {
		t.Fatal(err)
	}
	put(t, b, lockdown("hq"))
	for _, w := range watchers {
		sees(t, w, lockdown("hq"))
	}
	leader := slices.IndexFunc(servers, func(s *natstest.Server) bool {
		return s.Server().JetStreamIsStreamLeader("$G", "KV_"+bucket)
	})
	servers[leader].Stop()
	put(t, b, lockdown("branch"))
	for _, w := range watchers {
		sees(t, w, lockdown("branch"), lockdown("hq"))
		follows(t, w)
	}
}
