package relay

import (
	"fmt"
	"testing"
	"time"
)

func TestRememberedBodiesAreBounded(t *testing.T) {
	r := newRepeats()
	now := time.Unix(0, 0)
	for i := range remembered + 10 {
		if _, again := r.seen("lobby", fmt.Append(nil, i), now); again {
			t.Fatalf("%d was taken for a repeat", i)
		}
	}
	if len(r.first) != remembered || len(r.of["lobby"]) != remembered {
		t.Errorf("%d remembered", len(r.first))
	}
	if since, again := r.seen("lobby", []byte("20"), now.Add(time.Minute)); !again || since != time.Minute {
		t.Errorf("since %s, again %v", since, again)
	}
	if _, again := r.seen("cellar", []byte("20"), now); again {
		t.Error("another integration's body was taken for a repeat")
	}
}

// Whoever sends one body after another pushes out its own, and not those of others.
func TestOneIntegrationDoesNotPushOutWhatOthersSent(t *testing.T) {
	r := newRepeats()
	now := time.Unix(0, 0)
	for i := range 100 {
		r.seen("quiet", fmt.Append(nil, i), now)
	}
	for i := range 2 * remembered {
		r.seen("hog", fmt.Append(nil, i), now)
	}
	for i := range 100 {
		if _, again := r.seen("quiet", fmt.Append(nil, i), now.Add(time.Minute)); !again {
			t.Fatalf("body %d is forgotten", i)
		}
	}
	for i := range 1000 {
		r.seen("late", fmt.Append(nil, i), now)
	}
	if len(r.of["late"]) != 1000 || len(r.first) != remembered {
		t.Errorf("the late one has %d of %d", len(r.of["late"]), len(r.first))
	}
}
