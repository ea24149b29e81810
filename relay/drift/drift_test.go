package drift

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// feed observes so many bodies, one each minute, and returns all that they changed.
func feed(w *Watch, from time.Time, deliveries int, b body) (all Change) {
	for n := range deliveries {
		c := b.observe(w, visit.KindCheckedIn, from.Add(time.Duration(n)*time.Minute))
		all.Began, all.Ended, all.Names = append(all.Began, c.Began...), append(all.Ended, c.Ended...), append(all.Names, c.Names...)
	}
	return all
}

var (
	whole   = fields.Of(fields.LastName, fields.Company)
	without = fields.Of(fields.LastName)
)

func TestDrift_OfAFieldThatVanishesIsHeardAfterEightDays(t *testing.T) {
	t.Parallel()
	w := New(start)
	feed(w, start, 60, body{whole, nil})
	gone := start.Add(time.Hour)
	if c := feed(w, gone, 300, body{without, nil}); len(c.Began) > 0 {
		t.Fatalf("heard at once: %+v", c)
	}
	if c := feed(w, gone.Add(vanishedFor-time.Hour), 30, body{without, nil}); len(c.Began) > 0 {
		t.Fatalf("heard early: %+v", c)
	}
	c := feed(w, gone.Add(vanishedFor), 10, body{without, nil})
	if len(c.Began) != 1 || c.Began[0].Field != fields.Company || c.Began[0].Keys != nil || c.Began[0].Missing != 331 {
		t.Errorf("began: %+v", c.Began)
	}
	if d := w.Drifts(); len(d) != 1 || d[0].Missing != 340 {
		t.Errorf("drifts: %+v", d)
	}
	if c := feed(w, gone.Add(vanishedFor+time.Hour), 1, body{whole, nil}); len(c.Ended) != 1 || len(w.Drifts()) != 0 {
		t.Errorf("ended: %+v", c.Ended)
	}
}

// What has been missing before for as long is not missed.
func TestDrift_GoesByTheLongestTimeBefore(t *testing.T) {
	t.Parallel()
	w, at := New(start), start
	for range 4 { // visitors of another sort come for a week, again and again
		feed(w, at, 200, body{whole, nil})
		feed(w, at.Add(24*time.Hour), 100, body{without, nil})
		at = at.Add(8 * 24 * time.Hour)
	}
	feed(w, at, 200, body{whole, nil})
	if c := feed(w, at.Add(24*time.Hour), 100, body{without, nil}); len(c.Began) > 0 {
		t.Fatal("heard at once")
	}
	if c := feed(w, at.Add(20*24*time.Hour), 100, body{without, nil}); len(c.Began) > 0 {
		t.Errorf("heard after 200, when it was 100 before: %+v", c.Began)
	}
	if c := feed(w, at.Add(30*24*time.Hour), 200, body{without, nil}); len(c.Began) != 1 || c.Began[0].Missing != 300 {
		t.Errorf("began: %+v", c.Began)
	}
}

func TestDrift_NeedsAHistory(t *testing.T) {
	t.Parallel()
	w := New(start)
	feed(w, start, enough-1, body{whole, nil})
	if c := feed(w, start, 100, body{without, []string{"/data/new"}}); len(c.Began) > 0 {
		t.Errorf("began: %+v", c.Began)
	}
	w.Observe("Zmark", whole, 0, start, nil)
	if counts, keys := w.Counts(); !slices.Equal(counts, []Count{{fields.LastName, 119, 0}, {fields.Company, 19, 100}}) || keys != 1 {
		t.Errorf("counted: %+v, %d", counts, keys)
	}
}

// A key that is not there about as often as the field was, or came before the field went,
// or long after, is not its new name.
func TestDrift_IsOnlyARenameWithAKeyThatCameInstead(t *testing.T) {
	t.Parallel()
	key := []string{"/data/key"}
	for name, then := range map[string]func(w *Watch) Change{
		"with the field, before it went": func(w *Watch) Change {
			feed(w, start, 5, body{whole, key})
			return feed(w, start, 50, body{without, key})
		},
		"long after it went": func(w *Watch) Change {
			feed(w, start, 50, body{without, nil})
			return feed(w, start, 50, body{without, key})
		},
		"too rarely": func(w *Watch) Change {
			var all Change
			for n := range 100 {
				b := body{without, nil}
				if n%10 == 0 {
					b.keys = key
				}
				all.Began = append(all.Began, feed(w, start, 1, b).Began...)
			}
			return all
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := New(start)
			feed(w, start, 60, body{whole, []string{"/data/other"}})
			if c := then(w); len(c.Began) > 0 {
				t.Errorf("began: %+v", c.Began)
			}
		})
	}
}

func TestDrift_OfEachKindIsItsOwn(t *testing.T) {
	t.Parallel()
	w := New(start)
	for n := range 60 {
		body{whole, nil}.observe(w, visit.KindCheckedIn, start.Add(time.Duration(n)*time.Minute))
		body{without, nil}.observe(w, visit.KindCheckedOut, start.Add(time.Duration(n)*time.Minute))
	}
	if d := w.Drifts(); len(d) != 0 {
		t.Errorf("what check-outs never had drifts: %+v", d)
	}
}

func TestDrift_IsForgottenForFieldsAtOtherPlaces(t *testing.T) {
	t.Parallel()
	w := New(start)
	b := body{fields.Of(fields.LastName, fields.Company, fields.Email), nil}
	feed(w, start, 60, b)
	feed(w, start, 10, body{without, []string{"/data/new"}})
	if d := w.Drifts(); len(d) != 2 {
		t.Fatalf("drifts: %+v", d)
	}
	w.Reset(fields.Of(fields.Company))
	if d := w.Drifts(); len(d) != 1 || d[0].Field != fields.Email {
		t.Errorf("drifts: %+v", d)
	}
	if c := feed(w, start, 20, body{without, []string{"/data/new"}}); len(c.Began) > 0 || len(c.Names) > 0 {
		t.Errorf("heard again: %+v", c)
	}
}

// Where each body has keys of its own, memory and work are bounded, and a rename is heard
// all the same.
func TestKeys_AreBounded(t *testing.T) {
	t.Parallel()
	w, read := New(start), 0
	deliver := func(n int, at time.Time, found fields.Set, keys ...string) (began []Drift) {
		for k := range 20 {
			keys = append(keys, fmt.Sprintf("/data/visitors/id-%d-%d", n, k))
		}
		return w.Observe(visit.KindCheckedIn, found, uint64(n)+1, at, func() Keys { read++; return Keys{keys, keys} }).Began
	}
	for n := range 500 {
		deliver(n, start, whole)
	}
	if read != readings {
		t.Errorf("%d bodies were read at once", read)
	}
	var began []Drift
	for n := range 500 {
		at := start.Add(time.Duration(n+1) * time.Minute)
		if n < 490 {
			deliver(1000+n, at, whole)
			continue
		}
		began = append(began, deliver(1000+n, at, without, "/data/new")...)
	}
	if len(w.keys.known) > maxKeys || len(w.keys.sums) > maxSums || len(w.keys.order) > maxSums || len(w.kinds[1].novel) > maxNovel {
		t.Errorf("%d keys, %d sums, %d new keys", len(w.keys.known), len(w.keys.sums), len(w.kinds[1].novel))
	}
	if len(began) != 1 || !slices.Equal(began[0].Keys, []string{"/data/new"}) {
		t.Errorf("began: %+v", began)
	}
	if _, count := w.Counts(); count < 490*20 {
		t.Errorf("%d keys were counted", count)
	}
}

// A body with more keys than are noted counts with its first ones.
func TestKeys_OfOneBodyAreBounded(t *testing.T) {
	t.Parallel()
	w := New(start)
	var many []string
	for n := range 1000 {
		many = append(many, fmt.Sprintf("/data/key%d", n))
	}
	if c := feed(w, start, 10, body{whole, many}); len(c.Names) != maxInBody {
		t.Errorf("%d keys are named", len(c.Names))
	}
}

func TestKeys_AreNamedOnceAndMasked(t *testing.T) {
	t.Parallel()
	f, problems := fields.Compile(fields.Spec{Places: map[fields.Field][]string{
		fields.Company: {"/data/items/name=Company/value"}, fields.FirstName: {"/data/given"}, fields.Email: {"/data/list/0/mail"},
	}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	body := `{"event":"signin_after","data":{"firstName":"Zada","badge":1,"Ada Lovelace":1,"0412345678":2,"items":[{"name":"Zfloor","value":"x"},{"name":"Why are you here?"}],"list":[{"room":1,"mail":"z"}]}}`
	report, reason := f.Explain([]byte(body), 32)
	if reason != "" {
		t.Fatal(reason)
	}
	k := KeysOf(report)
	if want := []string{"/data/badge", "/data/Ada Lovelace", "/data/*", "/data/list/*/room", "/data/items/name=Zfloor", "/data/items/name=Why are you here?", "/data/firstName"}; !slices.Equal(k.Paths, want) {
		t.Errorf("paths: %q", k.Paths)
	}
	want := []string{"/data/{}", "/data/*", "/data/{}/*/room", "/data/{}/{}", "/data/firstName"}
	w := New(start)
	var names []string
	for n := range 2 * seenOften {
		c := w.Observe(visit.KindCheckedIn, report.Body.Found(), SumOf(report.Body), start.Add(time.Duration(n)*time.Minute), func() Keys { return k })
		if names = append(names, c.Names...); n < seenOften-1 && len(names) > 0 {
			t.Errorf("named after %d deliveries: %q", n+1, names)
		}
	}
	if !slices.Equal(names, want) {
		t.Errorf("named: %q", names)
	}
}
