package e2e

import (
	"os"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/desk/doors"
)

// The page on the desk has each state of a door, as the pages name and explain it, in
// their order, and says what to do.
func TestDocs_TheDesksPageHasEachStateOfADoor(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../../docs/desk.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "<!-- states: begin -->\n")
	table, _, closed := strings.Cut(rest, "<!-- states: end -->")
	rows := strings.Split(strings.TrimSpace(table), "\n")
	if !closed || len(rows) != len(doors.States)+2 {
		t.Fatalf("%d rows for %d states", len(rows)-2, len(doors.States))
	}
	for i, state := range doors.States {
		want := "| " + state.Title() + " | " + state.Meaning() + " | "
		if what, found := strings.CutPrefix(rows[i+2], want); !found || len(what) < len("Nothing |") {
			t.Errorf("row %d is %q, want %q and what to do", i+1, rows[i+2], want)
		}
	}
}
