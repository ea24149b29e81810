package orders_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/visit"
)

func TestPermissions_OperatorNeedsNoMore(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t, confined(slices.Concat(operatorNeeds, creatorNeeds), []string{inboxes}))
	b := open(t, s, asConfined)
	put(t, b, lockdown("hq"))
	if all, err := b.List(within(t, patience)); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	lift(t, b, lockdown("hq"))
	s.Stop()
	s.Restart(confined(slices.Concat(operatorNeeds), []string{inboxes}))
	put(t, open(t, s, asConfined), lockdown("hq"))
}

func TestPermissions_OperatorNeedsEach(t *testing.T) {
	t.Parallel()
	needed := slices.Concat(operatorNeeds, creatorNeeds)
	for _, missing := range append(slices.Clone(needed), inboxes) {
		t.Run(missing, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, confined(without(needed, missing), without([]string{inboxes}, missing)))
			err := giveAndLift(t, s)
			// A put names the very key.
			named := strings.TrimSuffix(missing, ">")
			if !errors.Is(err, visit.ErrDenied) || !strings.Contains(err.Error(), named) {
				t.Errorf("without %s: %v", missing, err)
			}
		})
	}
}

// giveAndLift does all that an operator may, from the start, until it fails.
func giveAndLift(t *testing.T, s *natstest.Server) error {
	b, err := orders.Open(within(t, patience), jetStream(t, s, asConfined), bucket, 1)
	if err != nil {
		return err
	}
	if _, err := b.Put(within(t, patience), lockdown("hq")); err != nil {
		return err
	}
	if _, err := b.Lift(within(t, patience), liftOf(lockdown("hq"))); err != nil {
		return err
	}
	_, err = b.List(within(t, patience))
	return err
}
