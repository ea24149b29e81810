package desk_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// counts is how often each outline of a decision is counted, once everything is.
func counts(t *testing.T, d opened, from, to time.Time) map[string]int {
	t.Helper()
	var all map[string]int
	eventually(t, "everything is read", func() bool {
		all = map[string]int{}
		since, _, err := d.Decisions(within(t, patience), from, to, func(_ uint64, r *visit.Record) { all[outlined(r)]++ })
		if err != nil {
			t.Fatal(err)
		}
		return since.IsZero()
	})
	return all
}

func outlined(r *visit.Record) string {
	return fmt.Sprint(r.Site, r.Received.UnixMicro(), r.Verdict, r.Situation, r.Fallback, r.Order != nil, r.Synthetic)
}

// read is the same from reading the stream.
func read(t *testing.T, d opened, from, to time.Time) map[string]int {
	t.Helper()
	all := map[string]int{}
	err := d.Records(within(t, patience), "", "", from, time.Time{}, func(r visit.Record) error {
		if to.IsZero() || r.Received.Before(to) {
			all[outlined(&r)]++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// same fails unless what is counted is what is stored, and returns how many that are.
func same(t *testing.T, what string, d opened, from, to time.Time) (number int) {
	t.Helper()
	got, want := counts(t, d, from, to), read(t, d, from, to)
	for outline, n := range want {
		number += n
		if got[outline] != n {
			t.Errorf("%s: %s is counted %d times, and %d times there", what, outline, got[outline], n)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d different ones are counted, and %d are there", what, len(got), len(want))
	}
	return number
}

// decisionsOn makes the stream of decisions and returns what stores records in it.
func decisionsOn(t testing.TB, js jetstream.JetStream) (store func(...visit.Record)) {
	t.Helper()
	_, err := js.CreateStream(within(t, patience), jetstream.StreamConfig{Name: visit.DefaultDecisionStream, Subjects: []string{"visitors.v1.decision.>"}, AllowDirect: true})
	if err != nil {
		t.Fatal(err)
	}
	return func(all ...visit.Record) {
		t.Helper()
		for i := range all {
			m, err := all[i].Message(visit.Subjects{})
			if err == nil {
				_, err = js.PublishMsgAsync(natsMsg(m))
			}
			if err != nil {
				t.Fatal(err)
			}
			if i%1000 == 999 {
				<-js.PublishAsyncComplete()
			}
		}
		<-js.PublishAsyncComplete()
	}
}

// several are records of all kinds at some sites, one a minute, of which some have waited
// in a spool.
func several(n int, start time.Time) (all []visit.Record) {
	for i := range n {
		r := record(fmt.Sprint("site-", i%7), visit.Accept, start.Add(time.Duration(i)*time.Minute))
		switch {
		case i%5 == 0:
			r.Verdict = visit.Reject
		case i%11 == 0:
			r.Fallback, r.Situation = true, visit.SituationTimeout
		case i%13 == 0:
			r.Verdict, r.Order, r.Situation = visit.Reject, &visit.OrderNote{Kind: visit.OrderLockdown, By: "ann", Since: start}, visit.SituationLockedDown
		case i%17 == 0:
			r.Synthetic = true
		}
		all = append(all, r)
	}
	for i := range n / 10 {
		all[i*10], all[n-1-i*10] = all[n-1-i*10], all[i*10]
	}
	return all
}

func TestDecisions_AreWhatIsStored(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	js := s.JetStream()
	store := decisionsOn(t, js)
	start := time.Now().Add(-10 * 24 * time.Hour)
	store(several(10_000, start)...)
	for _, garbage := range []string{`{`, `{"requestId":"R","site":"other","received":"2026-11-18T12:00:00Z","verdict":"accept"}`} {
		if _, err := js.Publish(within(t, patience), "visitors.v1.decision.site-1.accepted", []byte(garbage)); err != nil {
			t.Fatal(err)
		}
	}
	d := deskOn(t, s)
	if n := same(t, "at first", d, start, time.Time{}); n != 10_000 {
		t.Errorf("%d records", n)
	}
	same(t, "of two days", d, start.Add(24*time.Hour), start.Add(3*24*time.Hour))
	store(several(100, time.Now().Add(-100*time.Minute))...)
	if n := same(t, "with new ones", d, start, time.Time{}); n != 10_100 {
		t.Errorf("%d records", n)
	}
	if got := d.counted(t, visit.DefaultDecisionStream); got < 2 {
		t.Errorf("%v messages are said to be unreadable", got)
	}
}

// A decision that is not in the stream any more is not on a page.
func TestDecisions_GoWithTheirMessages(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	js := s.JetStream()
	store := decisionsOn(t, js)
	start := time.Now().Add(-24 * time.Hour)
	store(several(500, start)...)
	d := deskOn(t, s)
	same(t, "at first", d, start, time.Time{})
	stream, err := js.Stream(within(t, patience), visit.DefaultDecisionStream)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		do   func() error
		left int
	}{
		{"the oldest have expired", func() error { return stream.Purge(within(t, patience), jetstream.WithPurgeSequence(101)) }, 400},
		{"one is deleted", func() error { return stream.DeleteMsg(within(t, patience), 300) }, 399},
		{"as many have come as were deleted", func() error {
			if err := stream.DeleteMsg(within(t, patience), 301); err != nil {
				return err
			}
			store(record("new", visit.Accept, time.Now()))
			return nil
		}, 399},
		{"a site is deleted", func() error {
			return stream.Purge(within(t, patience), jetstream.WithPurgeSubject("visitors.v1.decision.site-3.*"))
		}, 343},
		{"all are deleted", func() error { return stream.Purge(within(t, patience)) }, 0},
		{"others have come", func() error { store(several(10, start)...); return nil }, 10},
		{"the stream is another one", func() error {
			if err := js.DeleteStream(within(t, patience), visit.DefaultDecisionStream); err != nil {
				return err
			}
			decisionsOn(t, js)(several(600, start)...) // its numbers are beyond those of the old one
			return nil
		}, 600},
		{"it is another one with as many", func() error {
			if err := js.DeleteStream(within(t, patience), visit.DefaultDecisionStream); err != nil {
				return err
			}
			decisionsOn(t, js)(several(600, start.Add(time.Minute))...)
			return nil
		}, 600},
		{"it is another one and empty", func() error {
			err := js.DeleteStream(within(t, patience), visit.DefaultDecisionStream)
			decisionsOn(t, js)
			return err
		}, 0},
	} {
		if err := c.do(); err != nil {
			t.Fatal(c.what, err)
		}
		if n := same(t, c.what, d, start, time.Time{}); n != c.left {
			t.Errorf("%s: %d are left, want %d", c.what, n, c.left)
		}
	}
	if err := js.DeleteStream(within(t, patience), visit.DefaultDecisionStream); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Decisions(within(t, patience), start, time.Time{}, func(uint64, *visit.Record) {}); !errors.Is(err, visit.ErrStreamMissing) {
		t.Errorf("without a stream: %v", err)
	}
	s.Stop()
	if _, _, err := d.Decisions(within(t, patience), start, time.Time{}, func(uint64, *visit.Record) {}); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("without NATS: %v", err)
	}
}

func TestRecordsAt_ReadsThoseThatWereCounted(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	store := decisionsOn(t, s.JetStream())
	start := time.Now().Add(-24 * time.Hour)
	all := several(50, start)
	store(all...)
	d := deskOn(t, s)
	var sequences []uint64
	counted := map[uint64]string{}
	counts(t, d, start, time.Time{})
	if _, _, err := d.Decisions(within(t, patience), start, time.Time{}, func(sequence uint64, r *visit.Record) {
		sequences, counted[sequence] = append(sequences, sequence), outlined(r)
	}); err != nil || len(sequences) != 50 {
		t.Fatal(len(sequences), err)
	}
	every := func(nth int) (some []uint64) {
		for i := 0; i < len(sequences); i += nth {
			some = append(some, sequences[i])
		}
		return some
	}
	for name, wanted := range map[string][]uint64{"all": sequences, "close to one another": every(3), "far from one another": every(10)} {
		n := 0
		err := d.RecordsAt(within(t, patience), append(wanted, 51, 1000), func(sequence uint64, r visit.Record) {
			n++
			if !slices.Contains(wanted, sequence) || counted[sequence] != outlined(&r) || all[sequence-1].RequestID != r.RequestID || r.Rule == "" {
				t.Errorf("%s: at %d: %+v, counted as %s", name, sequence, r, counted[sequence])
			}
		})
		if err != nil || n != len(wanted) {
			t.Errorf("%s: %d records, %v", name, n, err)
		}
	}
	d.Close()
	if _, _, err := d.Decisions(within(t, patience), start, time.Time{}, func(uint64, *visit.Record) {}); !errors.Is(err, visit.ErrDisconnected) {
		t.Errorf("after its end: %v", err)
	}
}

func TestCheckIns_AreThoseOfWhichSineSentTheVisit(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	relay, d := relayOn(t, s), deskOn(t, s)
	now := time.Now()
	in, out, again := event("hq", visit.KindCheckedIn, now), event("hq", visit.KindCheckedOut, now), event("lab", visit.KindCheckedIn, now.Add(-time.Minute))
	unnamed, correction, test := event("hq", visit.KindCheckedIn, now), event("hq", visit.KindCheckedIn, now), event("hq", visit.KindCheckedIn, now)
	again.Visit, unnamed.Visit, test.Synthetic = in.Visit, visit.NewVisitKey(""), true
	correction.Corrects, correction.Revision = in.ID, 1
	r := record("hq", visit.Reject, now.Add(-time.Minute))
	r.Visit = in.Visit
	publish(t, relay, &in, &out, &again, &unnamed, &correction, &test, &r)
	var key visit.VisitKey
	if _, _, err := d.Decisions(within(t, patience), now.Add(-time.Hour), time.Time{}, func(_ uint64, r *visit.Record) { key = r.Visit }); err != nil {
		t.Fatal(err)
	}
	if key.Basis != visit.VisitKeyFromSine || key.Value == "" || key.Value == in.Visit.Value {
		t.Errorf("the visit of the rejection is %+v", key)
	}
	var got []string
	since, reading, err := d.CheckIns(within(t, patience), now.Add(-time.Hour), time.Time{}, func(e *visit.Event) {
		got = append(got, fmt.Sprint(e.Site, e.Kind, e.Received.UnixMicro(), e.Synthetic, e.Visit == key))
	})
	slices.Sort(got)
	want := []string{
		fmt.Sprint("hq", visit.KindCheckedIn, in.Received.UnixMicro(), false, true),
		fmt.Sprint("hq", visit.KindCheckedIn, test.Received.UnixMicro(), true, false),
		fmt.Sprint("lab", visit.KindCheckedIn, again.Received.UnixMicro(), false, true),
	}
	if err != nil || !since.IsZero() || reading || !slices.Equal(got, want) {
		t.Errorf("%q, want %q: %v, %v, %v", got, want, since, reading, err)
	}
}
