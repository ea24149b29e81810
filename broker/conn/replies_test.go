package conn

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

func BenchmarkToken(b *testing.B) {
	for b.Loop() {
		newToken()
	}
}

// What was answered is remembered for as many, and for as long, as is said, and
// no longer: a flood of answers must not fill the memory.
func TestReply_MemoryOfRepliedMessagesIsBounded(t *testing.T) {
	var r replied
	start := time.Now()
	first := &PendingReply{token: newToken(), Expectation: Expectation{Subject: "s"}, sent: 1}
	r.add(first, start)
	if became, _, subject := r.again(first.token, &nats.Msg{}, start); became != duplicate || subject != "s" {
		t.Errorf("%v %q", became, subject)
	}
	if became, _, _ := r.again(first.token, &nats.Msg{}, start.Add(rememberReplied+1)); became != late {
		t.Errorf("after its time: %v", became)
	}
	var last *PendingReply
	for range maxReplied {
		last = &PendingReply{token: newToken(), Expectation: Expectation{Subject: "s"}, sent: 1}
		r.add(last, start)
	}
	if became, _, _ := r.again(first.token, &nats.Msg{}, start); became != late {
		t.Errorf("behind too many: %v", became)
	}
	if became, _, _ := r.again(last.token, &nats.Msg{}, start); became != duplicate || len(r.all) != maxReplied || len(r.ring) != maxReplied {
		t.Errorf("%v, %d remembered", became, len(r.all))
	}
}
