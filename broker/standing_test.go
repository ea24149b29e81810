package broker

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/orders"
)

// A relay that has just read the orders, but not those of a site that is new, does
// not say that it heard nothing for too long.
func TestOrders_StatusStatesWhyTheyAreUnknown(t *testing.T) {
	b := &Broker{cfg: Config{OrdersMaxAge: 30 * time.Second}}
	for age, want := range map[time.Duration]string{
		4 * time.Second:  "unknown: not read yet for all sites; only deciders accept visitors",
		31 * time.Second: "unknown: last read 31s ago; only deciders accept visitors",
	} {
		if got := b.unknown(orders.Status{Source: orders.SourceBucket, Age: age}); !strings.HasPrefix(got, want) {
			t.Errorf("after %s: %q, want %q", age, got, want)
		}
	}
}
