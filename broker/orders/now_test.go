package orders_test

import (
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// NATS runs in the test's process, and so has the test's time.
func TestNow_IsTheTimeOfNATS(t *testing.T) {
	t.Parallel()
	b := open(t, natstest.Start(t))
	before := time.Now()
	now, err := b.Now(within(t, patience))
	if err != nil || now.Before(before) || now.After(time.Now()) {
		t.Errorf("%v %v, began at %v", now, err, before)
	}
}
