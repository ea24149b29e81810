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
	if len(r.first) != remembered || len(r.ring) != remembered {
		t.Errorf("%d remembered", len(r.first))
	}
	if since, again := r.seen("lobby", []byte("20"), now.Add(time.Minute)); !again || since != time.Minute {
		t.Errorf("since %s, again %v", since, again)
	}
	if _, again := r.seen("cellar", []byte("20"), now); again {
		t.Error("another integration's body was taken for a repeat")
	}
}
