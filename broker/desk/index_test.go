package desk

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

func (x *index) sequences() (all []uint64) {
	x.each(time.Time{}, time.Time{}, func(sequence uint64, _ entry) { all = append(all, sequence) })
	return all
}

func TestIndex_GrowsAtBothEndsAndIsDroppedFromTheOldest(t *testing.T) {
	if size := unsafe.Sizeof(entry{}); size != 24 {
		t.Errorf("an entry has %d bytes", size)
	}
	var x, older index
	var want []uint64
	for i := range uint64(3 * chunkSize) {
		sequence := 10_000_000_000 + i*3_000_000 // far apart
		x.add(sequence, noon, entry{})
		want = append(want, sequence)
	}
	for i := range uint64(10) {
		older.add(i+1, noon, entry{})
	}
	x.before(&older)
	want = append([]uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, want...)
	slices.Reverse(want)
	if got := x.sequences(); x.count != len(want) || !slices.Equal(got, want) {
		t.Errorf("it has %d of %d, and %d in other places", len(got), x.count, len(want))
	}
	v := x.view()
	for _, left := range []int{len(want) - 4, chunkSize + 7, 1} {
		x.drop(want[left-1])
		if got := x.sequences(); x.count != left || !slices.Equal(got, want[:left]) {
			t.Errorf("%d are left in it, by its count %d, want %d", len(got), x.count, left)
		}
	}
	x.drop(want[0] + 1)
	if _, _, some := x.first(); some || x.count != 0 || len(x.sequences()) != 0 {
		t.Errorf("%d are left in the end", x.count)
	}
	if got := v.sequences(); !slices.Equal(got, want) {
		t.Errorf("what was looked at has changed: it has %d of %d", len(got), len(want))
	}
}

func TestIndex_NamesAreBounded(t *testing.T) {
	var n names
	for i := range maxSituations {
		if place, err := n.place(fmt.Sprint(i), maxSituations); err != nil || place != i {
			t.Fatal(place, err)
		}
	}
	if _, err := n.place("one more", maxSituations); err == nil {
		t.Error("there is no end")
	}
	if place, err := n.place("7", maxSituations); err != nil || place != 7 {
		t.Errorf("a name that is known: %d, %v", place, err)
	}
	if _, err := new(names).place(fmt.Sprintf("%0*d", maxName+1, 1), maxSituations); err == nil {
		t.Error("a name may have any length")
	}
}

// stepwise is a desk whose counter of decisions does nothing by itself, on a stream that
// has so many decisions, one a minute.
func stepwise(t *testing.T, messages int) (c *counter, store func(n int)) {
	t.Helper()
	s := natstest.Start(t)
	js := s.JetStream()
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: visit.DefaultDecisionStream, Subjects: []string{"visitors.v1.decision.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	d, err := Open(Config{Config: admin.Config{NATS: dial.Config{Servers: []string{s.URL()}}}, Logger: new(logtest.Buffer).Text()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	wait.Until(t, "it is connected", func() bool { return d.Connected() == nil })
	stored := 0
	store = func(n int) {
		t.Helper()
		for range n {
			data := fmt.Sprintf(`{"requestId":"R","site":"hq","received":%q,"verdict":"accept"}`, noon.Add(time.Duration(stored)*time.Minute).Format(time.RFC3339))
			if _, err := js.PublishAsync("visitors.v1.decision.hq.accepted", []byte(data)); err != nil {
				t.Fatal(err)
			}
			if stored++; stored%1000 == 0 {
				<-js.PublishAsyncComplete()
			}
		}
		<-js.PublishAsyncComplete()
	}
	store(messages)
	return d.newCounter(visit.DefaultDecisionStream, "visitors.v1.decision.*.*", d.decision), store
}

func (c *counter) must(t *testing.T, do func(context.Context) error) {
	t.Helper()
	if err := do(wait.Context(t, wait.Limit)); err != nil {
		t.Fatal(err)
	}
}

// What is not read yet is not passed over in silence.
func TestCounter_SaysSinceWhenItCountsWhileItReads(t *testing.T) {
	const messages = 2*chunkSize + 100
	c, store := stepwise(t, messages)
	c.must(t, c.refresh)
	for _, want := range []int{0, chunkSize, 2 * chunkSize, messages} {
		v, since, reading := c.view()
		if got := len(v.sequences()); got != want || reading != (want < messages) || since.IsZero() != (want == messages) {
			t.Errorf("%d are counted, want %d; since %s, still reading: %v", got, want, since, reading)
		}
		c.must(t, c.fill)
	}
	store(10)
	c.must(t, c.refresh)
	if v, since, _ := c.view(); !since.IsZero() || v.sequences()[0] != messages+10 || v.count != messages+10 {
		t.Errorf("%d are counted since %s", v.count, since)
	}
}

func TestCounter_KeepsTheNewestAndSaysSinceWhen(t *testing.T) {
	c, store := stepwise(t, 3*chunkSize)
	c.most = chunkSize + 1
	c.must(t, c.refresh)
	for !c.filled {
		c.must(t, c.fill)
	}
	for _, more := range []int{0, 1, chunkSize, 2 * chunkSize} {
		store(more)
		c.must(t, c.refresh)
		v, since, reading := c.view()
		got := v.sequences()
		if len(got) < c.most || len(got) > c.most+2*chunkSize || got[0] != c.next-1 || got[len(got)-1] != got[0]-uint64(len(got))+1 {
			t.Errorf("after %d more %d are counted, from %d to %d", more, len(got), got[len(got)-1], got[0])
		}
		if oldest := v.chunks[0].stored; reading || since.Before(oldest) || since.Sub(oldest) > time.Hour {
			t.Errorf("after %d more they are counted since %s, and the oldest is of %s; still reading: %v", more, since, oldest, reading)
		}
	}
}

func TestCounter_CountsWhatWasLeftOutOnceThereIsRoom(t *testing.T) {
	c, _ := stepwise(t, 2*chunkSize)
	c.most = chunkSize
	c.must(t, c.refresh)
	c.must(t, c.fill)
	c.index.drop(c.next - 10) // as if these had expired
	c.must(t, c.refresh)
	if _, _, reading := c.view(); !reading {
		t.Error("what was left out is not read")
	}
}

func TestCounter_BeginsAnewWhenSomethingIsGone(t *testing.T) {
	c, _ := stepwise(t, 100)
	c.must(t, c.refresh)
	c.must(t, c.fill)
	c.index.add(200, noon, entry{}) // which the stream does not have
	c.must(t, c.refresh)
	if c.filled || c.index.count != 0 {
		t.Errorf("it has %d", c.index.count)
	}
}

func TestCounter_GoesOnAfterReadingFailed(t *testing.T) {
	c, store := stepwise(t, chunkSize)
	ctx, cancel := context.WithCancel(t.Context())
	read := c.read
	c.read = func(m *jetstream.RawStreamMsg, x *index) (entry, error) {
		defer cancel() // so that the next page cannot be read
		return read(m, x)
	}
	c.must(t, c.refresh)
	if err := c.fill(ctx); err == nil {
		t.Fatal("nothing failed")
	}
	c.must(t, c.fill)
	store(1)
	c.must(t, c.refresh)
	v, since, _ := c.view()
	v.each(time.Time{}, time.Time{}, func(_ uint64, e entry) {
		if v.sites.all[e.site] != "hq" {
			t.Fatalf("the site is %q", v.sites.all[e.site])
		}
	})
	if v.count != chunkSize+1 || !since.IsZero() {
		t.Errorf("%d are counted since %s", v.count, since)
	}
}
