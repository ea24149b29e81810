package orders

import (
	"strings"
	"testing"
	"time"
)

// A relay that has just read the orders, but not those of a site that is new, does
// not say that it heard nothing for too long.
func TestOrders_StatusStatesWhyTheyAreUnknown(t *testing.T) {
	w := &Watcher{cfg: WatchConfig{MaxAge: 30 * time.Second}}
	for age, want := range map[time.Duration]string{
		4 * time.Second:  "unknown: not read yet for all sites; only deciders accept visitors",
		31 * time.Second: "unknown: last read 31s ago; only deciders accept visitors",
	} {
		if got := w.unknown(Status{Source: SourceBucket, Age: age}); !strings.HasPrefix(got, want) {
			t.Errorf("after %s: %q, want %q", age, got, want)
		}
	}
}
