package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/outbox"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/broker/outbox/window"
	"github.com/sine-relay/sine-relay/broker/streams"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/promtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// keeping is an outbox with a spool and a window, as a relay has them.
type keeping struct {
	room
	spool    *spool.Spool
	log      *logtest.Buffer
	registry *prometheus.Registry
	run      func()
	close    func()
}

func openKeeping(t *testing.T, url, dir string, maxAge time.Duration, change ...func(*dial.Config)) *keeping {
	t.Helper()
	k := prepareKeeping(t, url, dir, maxAge, change...)
	k.run()
	return k
}

// prepareKeeping leaves it to run to have anything leave the spool, or sent again.
func prepareKeeping(t *testing.T, url, dir string, maxAge time.Duration, change ...func(*dial.Config)) *keeping {
	t.Helper()
	k := &keeping{log: &logtest.Buffer{}, registry: prometheus.NewRegistry()}
	log := slog.New(slog.NewTextHandler(k.log, nil))
	kept, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	k.spool = kept
	windows := make(map[visit.Root]*window.Window)
	for _, root := range []visit.Root{visit.RootEvent, visit.RootDecision} {
		windows[root], err = window.Open(window.Config{Dir: filepath.Join(dir, "window", string(root)), MaxAge: maxAge, MaxBytes: 64 << 20, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
	}
	cfgNATS := dial.Config{Servers: []string{url}}
	for _, c := range change {
		c(&cfgNATS)
	}
	cfgNATS, err = cfgNATS.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	small := streams.Limits{MaxBytes: 64 << 20}
	cfg, err := streams.Config{Events: small, Decisions: small, Quarantine: small}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	options := conn.Options{Name: "events", Logger: log, Metrics: conn.NewMetrics(nil)}
	c, other, err := conn.DialPair(cfgNATS, options, options)
	if err != nil {
		t.Fatal(err)
	}
	other.Close()
	k.conn = c
	k.streams = streams.New(cfg, streams.Options{Conn: c, Logger: log, Bucket: "KV_ORDERS", Registerer: k.registry, Lost: func(root visit.Root) { k.Resend(root) }})
	k.Outbox = outbox.New(outbox.Config{
		Conn: c, Streams: k.streams, Shares: outbox.NewShares(nil), LargestMessage: streams.LargestMessage(cfg.BodyLimit), Logger: log,
		Spool: kept, Windows: windows, Registerer: k.registry,
	})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { k.streams.Run(ctx) })
	k.run = func() { running.Go(func() { k.Run(ctx) }) }
	k.close = sync.OnceFunc(func() {
		stop()
		running.Wait()
		c.Close()
		for _, w := range windows {
			w.Close()
		}
		if err := kept.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(k.close)
	wait.Until(t, "the streams are verified", func() bool {
		all, _ := k.streams.State()
		return !slices.ContainsFunc(all, func(s streams.Status) bool { return !s.Verified })
	})
	return k
}

// ofVisit is one of several events of a visit.
func ofVisit(v, n int) visit.Message {
	m := event(fmt.Sprintf("%d-%03d", v, n))
	m.OrderingKey = fmt.Sprint("visit/", v)
	return m
}

// storeVisits stores events of eight visits, those of each one after another.
func (k *keeping) storeVisits(t *testing.T, from, to int) {
	t.Helper()
	var calls sync.WaitGroup
	for v := range 8 {
		calls.Go(func() {
			for n := from; n < to; n++ {
				if r := k.store(t, ofVisit(v, n)); r.err != nil {
					t.Error(r.err)
				}
			}
		})
	}
	calls.Wait()
}

// inStream waits until the stream of a root has so many messages and the spool none: on a
// busy machine some take the way by the spool.
func (k *keeping) inStream(t *testing.T, root visit.Root, n uint64) {
	t.Helper()
	wait.Until(t, "all are in their stream", func() bool {
		spooled, _ := k.spool.Usage()
		return spooled == 0 && k.streams.LastAcknowledged(root) == n
	})
}

// checkVisits waits until all events are stored, and checks that each is there once, and
// that those of a visit are in their order.
func checkVisits(t *testing.T, s *natstest.Server, to int) {
	t.Helper()
	js := s.JetStream()
	wait.Until(t, "everything is stored", func() bool {
		stream, err := js.Stream(t.Context(), visit.DefaultEventStream)
		return err == nil && stream.CachedInfo().State.Msgs >= uint64(8*to)
	})
	ids, _ := stored(t, s)
	last := make(map[string]string)
	for _, sequence := range sequences(ids) {
		id := ids[sequence]
		v, _, _ := strings.Cut(id, "-")
		if id <= last[v] {
			t.Errorf("%s is stored after %s", id, last[v])
		}
		last[v] = id
	}
	if len(ids) != 8*to {
		t.Errorf("%d are stored, want %d", len(ids), 8*to)
	}
}

func sequences(ids map[uint64]string) (all []uint64) {
	for sequence := range ids {
		all = append(all, sequence)
	}
	slices.Sort(all)
	return all
}

// losePower stops a server, and takes away what it had not synced: everything, or what
// came after a copy of its files.
func losePower(t *testing.T, s *natstest.Server, dir, copied string) {
	t.Helper()
	s.Stop()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if copied != "" {
		if err := os.CopyFS(dir, os.DirFS(copied)); err != nil {
			t.Fatal(err)
		}
	}
	s.Restart()
}

func TestResend_WhatAServerLostWithItsPowerIsStoredAgain(t *testing.T) {
	for name, partly := range map[string]bool{"with the streams": false, "the newest messages": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, copied := t.TempDir(), ""
			s := natstest.Start(t, func(o *server.Options) { o.StoreDir = store })
			k := openKeeping(t, s.URL(), t.TempDir(), time.Hour)
			k.storeVisits(t, 0, 20)
			if partly {
				copied = t.TempDir()
				s.Stop() // so that the files are whole
				if err := os.CopyFS(copied, os.DirFS(store)); err != nil {
					t.Fatal(err)
				}
				s.Restart()
			}
			k.storeVisits(t, 20, 40)
			losePower(t, s, store, copied)
			k.storeVisits(t, 40, 50)
			checkVisits(t, s, 50)
			if got := promtest.Sum(t, k.registry, "sine_relay_window_resent_total"); got < 8*20 {
				t.Errorf("%v were sent again", got)
			}
			if !strings.Contains(k.log.String(), "messages that NATS had acknowledged are sent again") {
				t.Errorf("the log says\n%s", k.log)
			}
		})
	}
}

// What is sent again may be lost again, before and behind what came meanwhile.
func TestResend_WhatIsLostTwiceIsStoredAgain(t *testing.T) {
	t.Parallel()
	store, dir := t.TempDir(), t.TempDir()
	s := natstest.Start(t, func(o *server.Options) { o.StoreDir = store })
	k := openKeeping(t, s.URL(), dir, time.Hour)
	for n := range 4 {
		k.storeVisits(t, 10*n, 10*n+5)
		if n == 2 {
			k.close()
			k = openKeeping(t, s.URL(), dir, time.Hour)
		}
		var meanwhile sync.WaitGroup
		meanwhile.Go(func() { k.storeVisits(t, 10*n+5, 10*n+10) })
		losePower(t, s, store, "")
		meanwhile.Wait()
	}
	checkVisits(t, s, 40)
	k.inStream(t, visit.RootEvent, 8*40)
}

// Relay and NATS are away at the same time, as when one machine runs both.
func TestResend_ARelayThatStartsAnewSendsWhatAnotherHasKept(t *testing.T) {
	t.Parallel()
	store, dir := t.TempDir(), t.TempDir()
	s := natstest.Start(t, func(o *server.Options) { o.StoreDir = store })
	k := openKeeping(t, s.URL(), dir, time.Hour)
	k.storeVisits(t, 0, 20)
	k.close()
	losePower(t, s, store, "")
	again := openKeeping(t, s.URL(), dir, time.Hour)
	checkVisits(t, s, 20)
	if t.Failed() {
		t.Logf("the log says\n%s\nand before that\n%s", again.log, k.log)
	}
}

func TestResend_NothingIsSentAgainToAServerThatHasRunSince(t *testing.T) {
	t.Parallel()
	s, dir := natstest.Start(t), t.TempDir()
	k := openKeeping(t, s.URL(), dir, time.Hour)
	k.storeVisits(t, 0, 5)
	k.close()
	k = openKeeping(t, s.URL(), dir, time.Hour)
	k.storeVisits(t, 5, 10)
	checkVisits(t, s, 10)
	if got := promtest.Sum(t, k.registry, "sine_relay_window_resent_total"); got != 0 {
		t.Errorf("%v were sent again", got)
	}
	if got := promtest.Sum(t, k.registry, "sine_relay_window_messages"); got != 80 {
		t.Errorf("%v are kept", got)
	}
}

func TestResend_AStreamThatIsGoneIsAnAlarmAndFilledAgain(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	k := openKeeping(t, s.URL(), t.TempDir(), time.Hour)
	k.storeVisits(t, 0, 10)
	k.inStream(t, visit.RootEvent, 80)
	if err := s.JetStream().DeleteStream(t.Context(), visit.DefaultEventStream); err != nil {
		t.Fatal(err)
	}
	k.streams.Trigger()
	checkVisits(t, s, 10)
	all, _ := k.streams.State()
	if lost := all[0].Lost; lost == nil || !strings.Contains(lost.Error(), "had acknowledged messages up to sequence 80") {
		t.Errorf("the status says %v", lost)
	}
	if got := promtest.Sum(t, k.registry, "sine_relay_stream_losses_total", "stream", visit.DefaultEventStream); got != 1 {
		t.Errorf("%v losses", got)
	}
	if !strings.Contains(k.log.String(), `level=ERROR msg="NATS lost messages that it had acknowledged" stream=VISITORS acknowledged=80`) {
		t.Errorf("the log says\n%s", k.log)
	}
}

// What is under way when the stream goes, and comes while it is not there, is stored in
// the new one behind what is sent again.
func TestResend_ComesBeforeWhatIsUnderWay(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	k := openKeeping(t, s.URL(), t.TempDir(), time.Hour)
	k.storeVisits(t, 0, 10)
	var later sync.WaitGroup
	later.Go(func() { k.storeVisits(t, 10, 60) })
	if err := s.JetStream().DeleteStream(t.Context(), visit.DefaultEventStream); err != nil {
		t.Fatal(err)
	}
	later.Wait()
	checkVisits(t, s, 60)
}

// The spool takes nothing more before anything was sent again: what comes is stored in
// the stream, and only those of a visit that others wait for are refused.
func TestResend_AVisitKeepsItsOrderWhereTheSpoolIsFull(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	k := prepareKeeping(t, s.URL(), t.TempDir(), time.Hour)
	if r := k.store(t, ofVisit(1, 0)); r.err != nil || !r.receipt.Spooled {
		t.Fatalf("%+v", r)
	}
	filler := spool.Entry{Message: event("filler"), Order: "filler"}
	for size := 4 << 20; size > 1<<10; size /= 2 {
		filler.Message.Data = make([]byte, size)
		for k.spool.Put(t.Context(), filler) == nil {
		}
	}
	second, other := ofVisit(1, 1), ofVisit(2, 0)
	second.Data, other.Data = make([]byte, 4<<10), make([]byte, 4<<10)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if receipt, err := k.Store(ctx, second); !errors.Is(err, spool.ErrFull) {
		t.Errorf("the second of a visit whose first waits: %+v, %v", receipt, err)
	}
	if r := k.store(t, other); r.err != nil || r.receipt.Spooled {
		t.Errorf("another visit: %+v", r)
	}
	if ids, _ := stored(t, s); len(ids) != 1 || ids[1] != other.ID {
		t.Errorf("%v are stored", ids)
	}
}

// denying has a user "team" who may do everything, and a user "relay" who may not publish
// to some subjects.
func denying(subjects ...string) func(*server.Options) {
	return func(o *server.Options) {
		relay := &server.Permissions{Publish: &server.SubjectPermission{Deny: subjects}}
		o.Users = []*server.User{{Username: "relay", Password: "Zsecret", Permissions: relay}, {Username: "team", Password: "Zsecret"}}
	}
}

// acknowledge stores messages as the user "relay", on a server that loses them when it is
// started again.
func acknowledge(t *testing.T, all ...visit.Message) (*natstest.Server, *keeping) {
	t.Helper()
	store := t.TempDir()
	s := natstest.Start(t, denying(), func(o *server.Options) { o.StoreDir = store })
	k := openKeeping(t, s.URL(), t.TempDir(), time.Hour, func(c *dial.Config) {
		c.Auth = dial.Auth{User: "relay", Password: func() string { return "Zsecret" }}
	})
	for _, m := range all {
		if r := k.store(t, m); r.err != nil {
			t.Fatal(r.err)
		}
	}
	wait.Until(t, "NATS has acknowledged them", func() bool {
		return promtest.Sum(t, k.registry, "sine_relay_window_messages") == float64(len(all))
	})
	s.Stop()
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	return s, k
}

// What NATS has lost and does not take again comes before what came meanwhile.
func TestResend_AVisitKeepsItsOrderWithoutPermission(t *testing.T) {
	t.Parallel()
	s, k := acknowledge(t, ofVisit(1, 0), ofVisit(1, 1), ofVisit(1, 2))
	for n := range 3 {
		if r := k.store(t, ofVisit(1, 3+n)); r.err != nil || !r.receipt.Spooled {
			t.Fatalf("%+v", r)
		}
	}
	s.Restart(denying("visitors.v1.event.>"))
	wait.Until(t, "what NATS has lost is in the spool", func() bool {
		n, _ := k.spool.Usage()
		return n == 6
	})
	s.Stop()
	s.Restart(denying())
	js := s.JetStream(nats.UserInfo("team", "Zsecret"))
	wait.Until(t, "all is stored", func() bool {
		stream, err := js.Stream(t.Context(), visit.DefaultEventStream)
		return err == nil && stream.CachedInfo().State.Msgs >= 6
	})
	stream, err := js.Stream(t.Context(), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 6 {
		m, err := stream.GetMsg(t.Context(), uint64(n)+1)
		if err != nil || m.Header.Get(visit.HeaderMsgID) != ofVisit(1, n).ID {
			t.Errorf("at %d is %v, %v", n+1, m, err)
		}
	}
	if got := promtest.Sum(t, k.registry, "sine_relay_spool_spooled_total"); got < 6 {
		t.Errorf("%v were spooled", got)
	}
}

// One message of a visit is too large for NATS as it is now, and is in another segment of
// the window than those after it.
func TestResend_AVisitKeepsItsOrderAcrossSegments(t *testing.T) {
	t.Parallel()
	store := t.TempDir()
	s := natstest.Start(t, func(o *server.Options) { o.StoreDir = store })
	k := openKeeping(t, s.URL(), t.TempDir(), time.Hour)
	large := event("large")
	large.Data = make([]byte, 512<<10)
	first := ofVisit(1, 0)
	first.Data = large.Data
	want := []string{ofVisit(1, 1).ID}
	all := []visit.Message{first, ofVisit(1, 1)}
	for n := range 20 { // a segment has 8 MiB
		large.ID = fmt.Sprint("large", n)
		all = append(all, large)
	}
	for n := 2; n < 20; n++ {
		all = append(all, ofVisit(1, n))
		want = append(want, ofVisit(1, n).ID)
	}
	for _, m := range all {
		if r := k.store(t, m); r.err != nil {
			t.Fatal(r.err)
		}
	}
	wait.Until(t, "NATS has acknowledged them", func() bool {
		return promtest.Sum(t, k.registry, "sine_relay_window_messages") == float64(len(all))
	})
	s.Stop()
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	s.Restart(func(o *server.Options) { o.MaxPayload = 100 << 10 })
	got := k.visitsStored(t, s, len(want))
	if !slices.Equal(got, want) {
		t.Errorf("stored are %v, want %v", got, want)
	}
}

// visitsStored waits until so many events of visits are in the stream, and returns their
// ids in its order.
func (k *keeping) visitsStored(t *testing.T, s *natstest.Server, n int) (ids []string) {
	t.Helper()
	wait.Until(t, "all are stored", func() bool {
		ids = nil
		if _, err := s.JetStream().Stream(t.Context(), visit.DefaultEventStream); err != nil {
			return false
		}
		all, _ := stored(t, s)
		for _, sequence := range sequences(all) {
			if strings.Contains(all[sequence], "-") {
				ids = append(ids, all[sequence])
			}
		}
		return len(ids) >= n
	})
	return ids
}

// The ledger holds although the spool takes one message of three.
func TestResend_WhatTheSpoolTakesIsCounted(t *testing.T) {
	t.Parallel()
	all := events("e", 3)
	for i := range all {
		all[i].Data = make([]byte, 4<<10)
	}
	s, k := acknowledge(t, all...)
	wait.Until(t, "the spool is empty", func() bool { n, _ := k.spool.Usage(); return n == 0 })
	before := promtest.Sum(t, k.registry, "sine_relay_spool_spooled_total")
	filler := spool.Entry{Message: event("filler"), Order: "filler"}
	for size := 4 << 20; size > 0; size = int(k.spool.Stats().MaxBytes-k.spool.Stats().Bytes) - 7<<10 {
		filler.Message.Data = make([]byte, min(size, 4<<20))
		if err := k.spool.Put(t.Context(), filler); err != nil {
			t.Fatal(err)
		}
	}
	fillers, _ := k.spool.Usage()
	s.Restart(denying("visitors.v1.event.>"))
	wait.Until(t, "the spool is full", func() bool { return strings.Contains(k.log.String(), "not all messages could be sent again") })
	wait.Until(t, "the one is counted", func() bool {
		n, _ := k.spool.Usage()
		return n == fillers+1 && promtest.Sum(t, k.registry, "sine_relay_spool_spooled_total") == before+1
	})
}

// A machine that lost its power may be away for longer than NATS takes to sync.
func TestResend_NothingIsForgottenWhileNATSIsAway(t *testing.T) {
	t.Parallel()
	const age = 5 * time.Second // much longer than a busy machine takes to store some
	store := t.TempDir()
	s := natstest.Start(t, func(o *server.Options) { o.StoreDir = store })
	k := openKeeping(t, s.URL(), t.TempDir(), age)
	k.storeVisits(t, 0, 10)
	s.Stop()
	stopped := time.Now()
	wait.Until(t, "it would be old enough", func() bool { return time.Since(stopped) > age+age/2 })
	losePower(t, s, store, "")
	checkVisits(t, s, 10)
	wait.Until(t, "what NATS has synced by now is forgotten", func() bool {
		return promtest.Sum(t, k.registry, "sine_relay_window_messages") == 0
	})
}

func record(id string) visit.Message {
	m := event(id)
	m.Root, m.Subject, m.OrderingKey = visit.RootDecision, "visitors.v1.decision.hq.accepted", "decision/lobby"
	return m
}

func TestResend_AStreamThatTakesNothingHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	k := openKeeping(t, s.URL(), t.TempDir(), time.Hour)
	for i := range 5 {
		if r := k.store(t, record(fmt.Sprint("r", i))); r.err != nil {
			t.Fatal(r.err)
		}
	}
	k.inStream(t, visit.RootDecision, 5)
	stream, err := s.JetStream().Stream(t.Context(), visit.DefaultDecisionStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgs = 1 // and one is there
	cfg.Duplicates = time.Second
	if err := stream.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.JetStream().UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := s.JetStream().Publish(t.Context(), "visitors.v1.decision.hq.accepted", nil); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	s.Restart()
	wait.Until(t, "events are stored directly", func() bool {
		r := k.store(t, event(fmt.Sprint("e", time.Now().UnixNano())))
		return r.err == nil && !r.receipt.Spooled
	})
}

// Another has made the stream anew before the relay looks at it.
func TestResend_ASequenceThatComesTwiceIsALoss(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	k := openKeeping(t, s.URL(), t.TempDir(), time.Hour)
	k.storeVisits(t, 0, 10)
	js := s.JetStream()
	stream, err := js.Stream(t.Context(), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	if err := js.DeleteStream(t.Context(), cfg.Name); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	k.storeVisits(t, 10, 11)
	wait.Until(t, "everything is there again", func() bool {
		stream, err := js.Stream(t.Context(), visit.DefaultEventStream)
		return err == nil && stream.CachedInfo().State.Msgs == 88
	})
	if got := promtest.Sum(t, k.registry, "sine_relay_stream_losses_total", "stream", visit.DefaultEventStream); got != 1 {
		t.Errorf("%v losses", got)
	}
}

// Until a window can be opened nobody waits for it, and what an earlier process has left
// there is not forgotten.
func TestResend_AWindowThatIsOpenedLaterIsSentThen(t *testing.T) {
	t.Parallel()
	store, dir := t.TempDir(), t.TempDir()
	s := natstest.Start(t, func(o *server.Options) { o.StoreDir = store })
	k := openKeeping(t, s.URL(), dir, time.Hour)
	k.storeVisits(t, 0, 5)
	k.close()
	losePower(t, s, store, "")
	kept := filepath.Join(dir, "window", string(visit.RootEvent))
	if err := errors.Join(os.Rename(kept, kept+".away"), os.WriteFile(kept, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	k = openKeeping(t, s.URL(), dir, time.Hour)
	news := 0
	wait.Until(t, "events are stored directly", func() bool {
		news++
		r := k.store(t, event(fmt.Sprint("new", news)))
		return r.err == nil && !r.receipt.Spooled
	})
	if err := errors.Join(os.Remove(kept), os.Rename(kept+".away", kept)); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "what was lost is stored again", func() bool {
		ids, _ := stored(t, s)
		return len(ids) == 8*5+news
	})
}

// Somebody deletes the stream and makes it anew, and it has more messages than the old one
// before the relay looks at it.
func TestResend_AStreamThatSomebodyReplacedIsFilledAgain(t *testing.T) {
	for name, running := range map[string]bool{"while the relay runs": true, "between two relays": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, dir := natstest.Start(t), t.TempDir()
			k := openKeeping(t, s.URL(), dir, time.Hour)
			k.storeVisits(t, 0, 10)
			k.inStream(t, visit.RootEvent, 80)
			if !running {
				k.close()
			}
			replaceEvents(t, s, 100)
			if running {
				k.streams.Trigger()
			} else {
				k = openKeeping(t, s.URL(), dir, time.Hour)
			}
			wait.Until(t, "what was lost is sent again", func() bool {
				return promtest.Sum(t, k.registry, "sine_relay_window_resent_total") == 80
			})
			k.inStream(t, visit.RootEvent, 180)
			want := 0.0 // the second relay has seen no acknowledgement
			if running {
				want = 1
			}
			if got := promtest.Sum(t, k.registry, "sine_relay_stream_losses_total", "stream", visit.DefaultEventStream); got != want {
				t.Errorf("%v losses, want %v; the log says\n%s", got, want, k.log)
			}
		})
	}
}

// replaceEvents puts another stream in the place of that of the events, with so many
// messages of somebody else.
func replaceEvents(t *testing.T, s *natstest.Server, messages int) {
	t.Helper()
	js := s.JetStream()
	stream, err := js.Stream(t.Context(), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteStream(t.Context(), visit.DefaultEventStream); err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), stream.CachedInfo().Config); err != nil {
		t.Fatal(err)
	}
	for n := range messages {
		if _, err := js.Publish(t.Context(), event("other").Subject, []byte(fmt.Sprint(n))); err != nil {
			t.Fatal(err)
		}
	}
}
