package live

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestLog_HandsOutWhatCameSince(t *testing.T) {
	all := func(*Entry) bool { return true }
	hq := func(e *Entry) bool { return e.Site == "hq" }
	for name, c := range map[string]struct {
		added  int
		after  uint64
		most   int
		wanted func(*Entry) bool
		found  int
		missed uint64
		lost   uint64
	}{
		"nothing":                         {0, 0, 10, all, 0, 0, 0},
		"all":                             {5, 0, 10, all, 5, 0, 0},
		"what is new":                     {5, 3, 10, all, 2, 0, 0},
		"nothing new":                     {5, 5, 10, all, 0, 0, 0},
		"more than is handed out":         {50, 0, 10, all, 10, 40, 0},
		"what is not kept any more":       {Kept + 30, 10, Kept, all, Kept, 0, 20},
		"the first time, after very many": {Kept + 30, 0, Kept, all, Kept, 0, 0},
		"a number of another process":     {5, 100, 10, all, 5, 0, 0},
		"one site":                        {6, 0, 10, hq, 3, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var l Log
			for i := range c.added {
				l.Add(Entry{Site: []string{"hq", "plant"}[i%2], RequestID: fmt.Sprint(i + 1)})
			}
			found, missed, lost, last := l.After(c.after, c.most, c.wanted)
			if len(found) != c.found || missed != c.missed || lost != c.lost || last != uint64(c.added) {
				t.Errorf("%d found, %d missed, %d lost, last %d", len(found), missed, lost, last)
			}
			for i := 1; i < len(found); i++ {
				if found[i].Number >= found[i-1].Number {
					t.Errorf("%d comes after %d", found[i].Number, found[i-1].Number)
				}
			}
		})
	}
}

func TestEntry_HasNothingOfAPerson(t *testing.T) {
	e := visit.Event{Kind: visit.KindCheckedIn, Pass: visit.Pass{
		Person: visit.Person{FirstName: "Zebedee", LastName: "Quillfeather", Email: "z@q", Mobile: "555"}, Company: "Marked",
		Host: &visit.Host{LastName: "Hosting"}, VisitorType: "Guest", FormAnswers: []visit.FormAnswer{{Value: "secret"}},
	}, Source: visit.Source(`"secret"`)}
	text := fmt.Sprintf("%+v", OfEvent(&e))
	for _, never := range []string{"Zebedee", "Quillfeather", "z@q", "555", "Marked", "Hosting", "Guest", "secret"} {
		if strings.Contains(text, never) {
			t.Errorf("the entry has %q: %s", never, text)
		}
	}
}
