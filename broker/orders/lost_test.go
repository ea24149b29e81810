package orders_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// The empty bucket that a watcher makes must not open a door that is locked.
func TestBucket_DeletionDoesNotLiftALockdown(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	var log logtest.Buffer
	w := watch(t, s, into(&log))
	b := open(t, s)
	put(t, b, lockdown("hq"), lockdown("branch"), override(visit.AllSites))
	sees(t, w, lockdown("branch"), lockdown("hq"), override(visit.AllSites))
	js := jetStream(t, s)
	if err := js.DeleteKeyValue(within(t, patience), bucket); err != nil {
		t.Fatal(err)
	}
	fresh := watch(t, s)
	sees(t, fresh)
	sees(t, w, lockdown("branch"), lockdown("hq"))
	follows(t, w)
	if lost := w.Status().Lost; len(lost) != 2 {
		t.Errorf("lost are %+v", lost)
	}

	b = open(t, s)
	if _, err := b.Lift(within(t, patience), liftOf(lockdown("hq")), idIn(t, w, "hq")); !errors.Is(err, orders.ErrNotInForce) {
		t.Error(err)
	}
	put(t, b, override("hq"))
	sees(t, w, lockdown("branch"), override("hq"))
	sees(t, fresh, override("hq"))
	put(t, b, lockdown("branch"))
	eventually(t, "nothing is lost any more", func() bool { return len(w.Status().Lost) == 0 })
	lift(t, b, lockdown("branch"))
	sees(t, w, override("hq"))
	if n := strings.Count(log.String(), "not in the bucket any more, and stays in force"); n != 2 {
		t.Errorf("said %d times of two:\n%s", n, log.String())
	}
}

func TestBucket_PurgeDoesNotLiftALockdown(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	makeAsToolsDo(t, s)
	file := filepath.Join(t.TempDir(), "orders.json")
	w := watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = file })
	b := open(t, s)
	put(t, b, lockdown("hq"))
	sees(t, w, lockdown("hq"))
	w.Close()
	stream, err := jetStream(t, s).Stream(within(t, patience), "KV_"+bucket)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Purge(within(t, patience)); err != nil {
		t.Fatal(err)
	}
	again := watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = file })
	follows(t, again)
	sees(t, again, lockdown("hq"))
	// Keys may also be deleted with other tools.
	if err := keys(t, s).Purge(within(t, patience), "lockdown.site.hq"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the deletion is reported", func() bool { return again.Status().DeletedCount == 1 })
	sees(t, again, lockdown("hq"))
	if _, err := b.Lift(within(t, patience), liftOf(lockdown("hq")), idIn(t, again, "hq")); !errors.Is(err, orders.ErrNotInForce) {
		t.Error(err)
	}
	sees(t, again)
	if st := again.Status(); st.DeletedCount != 0 || len(st.Invalid) != 0 {
		t.Errorf("%+v", st)
	}
}

// idIn is the id of the order of a site that a watcher knows.
func idIn(t *testing.T, w *orders.Watcher, site string) string {
	t.Helper()
	all, _ := w.Orders()
	for _, o := range all {
		if o.Site == site {
			return o.ID
		}
	}
	t.Fatalf("no order of %s in %+v", site, all)
	return ""
}

func TestBucket_RelayWithoutPermissionCannotCreateIt(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(relayNeeds, []string{inboxes}))
	w := watch(t, s, confinedTo(t, s))
	eventually(t, "the status says why the bucket stays absent", func() bool {
		err := w.Status().Err
		return errors.Is(err, visit.ErrDenied) && strings.Contains(err.Error(), "no such bucket") && strings.Contains(err.Error(), "$JS.API.STREAM.CREATE.KV_VISITOR_ORDERS")
	})
	if all, known := w.Orders(); known || len(all) != 0 {
		t.Errorf("an absent bucket is taken for knowledge: %v, known %v", all, known)
	}
	put(t, open(t, s, asTeam), lockdown("hq"))
	sees(t, w, lockdown("hq"))
	follows(t, w)
}

func TestBucket_RelayWithPermissionCreatesIt(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(slices.Concat(relayNeeds, creatorNeeds), []string{inboxes}))
	w := watch(t, s, confinedTo(t, s))
	sees(t, w)
	team := jetStream(t, s, asTeam)
	eventually(t, "there is a bucket", func() bool {
		_, err := team.KeyValue(within(t, patience), bucket)
		return err == nil
	})
	follows(t, w)
}
