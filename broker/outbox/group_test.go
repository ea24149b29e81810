package outbox_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// many are more at once than are stored while the first one is.
const many = 300

// checkStored compares the receipts with what is in the stream: each message once.
func checkStored(t *testing.T, s *natstest.Server, results map[string]result) (batched int) {
	t.Helper()
	ids, batched := stored(t, s)
	for id, r := range results {
		if r.err == nil && ids[r.receipt.Sequence] != id {
			t.Errorf("%s has the receipt %+v, and there is %q", id, r.receipt, ids[r.receipt.Sequence])
		}
	}
	seen := make(map[string]bool)
	for _, id := range ids {
		if seen[id] {
			t.Errorf("%s is stored twice", id)
		}
		seen[id] = true
	}
	return batched
}

func TestGroupCommit_EachMessageHasItsOwnReceipt(t *testing.T) {
	t.Parallel()
	s := synced(t)
	r := open(t, s.URL())
	results := r.storeAll(t, events("e", many))
	for id, one := range results {
		if one.err != nil || one.receipt.Duplicate || one.receipt.Stream != visit.DefaultEventStream {
			t.Errorf("%s: %+v", id, one)
		}
	}
	if batched := checkStored(t, s, results); batched < many/2 {
		t.Errorf("%d of %d came in batches", batched, many)
	}
	if ids, _ := stored(t, s); len(ids) != many {
		t.Errorf("%d are stored", len(ids))
	}
}

func TestGroupCommit_MessageThatComesAloneIsStoredAlone(t *testing.T) {
	t.Parallel()
	s := synced(t)
	r := open(t, s.URL())
	for _, m := range events("e", 3) {
		if _, err := r.Store(wait.Context(t, wait.Limit), m); err != nil {
			t.Error(err)
		}
	}
	if ids, batched := stored(t, s); len(ids) != 3 || batched != 0 {
		t.Errorf("%d stored, %d in batches", len(ids), batched)
	}
}

// One that the relay does not know, since it started anew, is refused with its whole
// batch: then each message is stored alone.
func TestGroupCommit_RepeatsAreReportedAndStoredOnce(t *testing.T) {
	t.Parallel()
	s := synced(t)
	first := open(t, s.URL()).storeAll(t, events("old", 50))
	again := open(t, s.URL())
	for _, round := range []string{"of an earlier process", "of this one"} {
		results := again.storeAll(t, append(events("old", 50), events("new "+round, many)...))
		for id, one := range results {
			before, repeat := first[id]
			if one.err != nil || one.receipt.Duplicate != repeat && !one.slow || repeat && one.receipt.Sequence != before.receipt.Sequence {
				t.Errorf("repeats %s: %s: %+v, before %+v", round, id, one, before)
			}
		}
		checkStored(t, s, results)
	}
	if ids, _ := stored(t, s); len(ids) != 50+2*many {
		t.Errorf("%d are stored", len(ids))
	}
}

func TestGroupCommit_OneOfTwoCallsWithTheSameIDIsADuplicate(t *testing.T) {
	t.Parallel()
	s := synced(t)
	r := open(t, s.URL())
	var mu sync.Mutex
	var calls sync.WaitGroup
	duplicates, slow := 0, 0
	for i := range many {
		for range 2 {
			calls.Go(func() {
				one := r.store(t, event(fmt.Sprint("e", i)))
				if one.err != nil {
					t.Error(one.err)
				}
				mu.Lock()
				defer mu.Unlock()
				switch {
				case one.slow:
					slow++
				case one.receipt.Duplicate:
					duplicates++
				}
			})
		}
	}
	calls.Wait()
	if ids, _ := stored(t, s); len(ids) != many || duplicates > many || duplicates+slow < many {
		t.Errorf("%d stored, %d duplicates, %d calls were slow", len(ids), duplicates, slow)
	}
}

// A message that is refused does not take the others of its batch with it.
func TestGroupCommit_EachMessageHasItsOwnError(t *testing.T) {
	t.Parallel()
	s := synced(t, func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "admin", Password: "secret"},
			{Username: "relay", Password: "secret", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"visitors.v1.event.closed.>"}},
			}},
		}
		o.NoAuthUser = "admin"
	})
	r := open(t, s.URL(), func(c *dial.Config, cfg *streams.Config) {
		c.Auth = dial.Auth{User: "relay", Password: func() string { return "secret" }}
		cfg.BodyLimit = 1 << 10
	})
	update(t, s.JetStream(), func(c *jetstream.StreamConfig) { c.MaxMsgSize = 10_000 })
	all := events("fits", many)
	for i := range 10 {
		large, closed := event(fmt.Sprint("large", i)), event(fmt.Sprint("closed", i))
		large.Data = make([]byte, 20_000)
		closed.Subject = "visitors.v1.event.closed.checked_in"
		all = append(all, large, closed)
	}
	results := r.storeAll(t, all)
	for id, one := range results {
		var want error
		switch id[:2] {
		case "la":
			want = visit.ErrTooLarge
		case "cl":
			want = visit.ErrDenied
		}
		if !errors.Is(one.err, want) {
			t.Errorf("%s: %v, want %v", id, one.err, want)
		}
	}
	checkStored(t, s, results)
	if ids, _ := stored(t, s); len(ids) != many {
		t.Errorf("%d are stored", len(ids))
	}
}

func TestGroupCommit_FullStreamTakesWhatFits(t *testing.T) {
	t.Parallel()
	s := synced(t)
	r := open(t, s.URL())
	const fit = 100
	update(t, s.JetStream(), func(c *jetstream.StreamConfig) { c.MaxMsgs = fit })
	results := r.storeAll(t, events("e", many))
	full := 0
	for id, one := range results {
		switch {
		case errors.Is(one.err, visit.ErrStreamFull):
			full++
		case one.err != nil:
			t.Errorf("%s: %v", id, one.err)
		}
	}
	checkStored(t, s, results)
	if ids, _ := stored(t, s); len(ids) != fit || full != many-fit {
		t.Errorf("%d are stored, %d refused", len(ids), full)
	}
}

func TestGroupCommit_ServerThatRestartsMeanwhileStoresEachMessageOnce(t *testing.T) {
	t.Parallel()
	s := synced(t)
	r := open(t, s.URL())
	done := make(chan map[string]result)
	go func() { done <- r.storeAll(t, events("e", 10*many)) }()
	js := s.JetStream()
	wait.Until(t, "some are stored", func() bool {
		stream, err := js.Stream(wait.Context(t, wait.Limit), visit.DefaultEventStream)
		return err == nil && stream.CachedInfo().State.Msgs > many
	})
	s.Stop()
	s.Restart()
	results := <-done
	for id, one := range results {
		if one.err != nil || one.receipt.Duplicate {
			t.Errorf("%s: %+v", id, one)
		}
	}
	checkStored(t, s, results)
	if ids, _ := stored(t, s); len(ids) != 10*many {
		t.Errorf("%d are stored", len(ids))
	}
}

// So it is with a stream that was there before, and with one of an older NATS.
func TestGroupCommit_StreamThatAllowsNoBatchesStoresEachMessageAlone(t *testing.T) {
	t.Parallel()
	s := synced(t)
	r := open(t, s.URL())
	if !r.streams.Batches(visit.RootEvent) {
		t.Fatal("the stream that was created allows no batches")
	}
	update(t, s.JetStream(), func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = false })
	results := r.storeAll(t, events("learns", many))
	again := open(t, s.URL())
	if again.streams.Batches(visit.RootEvent) {
		t.Error("the stream seems to allow batches")
	}
	for id, one := range again.storeAll(t, events("knows", many)) {
		results[id] = one
	}
	for id, one := range results {
		if one.err != nil {
			t.Errorf("%s: %v", id, one.err)
		}
	}
	if batched := checkStored(t, s, results); batched > 0 || r.streams.Batches(visit.RootEvent) {
		t.Errorf("%d came in batches", batched)
	}
	if ids, _ := stored(t, s); len(ids) != 2*many {
		t.Errorf("%d are stored", len(ids))
	}
}

func TestGroupCommit_ServerWithALowerLimitStoresSmallerBatches(t *testing.T) {
	t.Parallel()
	s := synced(t, func(o *server.Options) { o.JetStreamLimits.MaxBatchSize = 10 })
	r := open(t, s.URL())
	results := r.storeAll(t, events("e", 2*many))
	for id, one := range results {
		if one.err != nil {
			t.Errorf("%s: %v", id, one.err)
		}
	}
	checkStored(t, s, results)
	if ids, _ := stored(t, s); len(ids) != 2*many {
		t.Errorf("%d are stored", len(ids))
	}
}

// A message of a visit waits for the one before it; the batches do not mix them.
func TestGroupCommit_MessagesOfAVisitKeepTheirOrder(t *testing.T) {
	t.Parallel()
	s := synced(t)
	r := open(t, s.URL())
	var calls sync.WaitGroup
	for v := range many {
		calls.Go(func() {
			for n := range 3 {
				m := event(fmt.Sprint(v, "/", n))
				m.OrderingKey = fmt.Sprint("visit/", v)
				if _, err := r.Store(wait.Context(t, wait.Limit), m); err != nil {
					t.Error(err)
				}
			}
		})
	}
	calls.Wait()
	ids, _ := stored(t, s)
	place := make(map[string]uint64)
	for sequence, id := range ids {
		place[id] = sequence
	}
	for v := range many {
		for n := range 2 {
			if place[fmt.Sprint(v, "/", n)] >= place[fmt.Sprint(v, "/", n+1)] {
				t.Errorf("visit %d: message %d came first", v, n+1)
			}
		}
	}
}

// In a cluster the sequences are those of the leader.
func TestGroupCommit_ClusterGivesEachMessageItsReceipt(t *testing.T) {
	t.Parallel()
	nodes := natstest.Cluster(t, 3)
	r := open(t, nodes[0].URL(), func(_ *dial.Config, cfg *streams.Config) { cfg.Replicas = 3 })
	results := r.storeAll(t, events("e", many))
	for id, one := range results {
		if one.err != nil {
			t.Errorf("%s: %v", id, one.err)
		}
	}
	if batched := checkStored(t, nodes[0], results); batched == 0 {
		t.Error("none came in a batch")
	}
	if ids, _ := stored(t, nodes[0]); len(ids) != many {
		t.Errorf("%d are stored", len(ids))
	}
}
