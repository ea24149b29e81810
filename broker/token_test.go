package broker

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
func TestReply_MemoryOfAnsweredRequestsIsBounded(t *testing.T) {
	var a answered
	start := time.Now()
	first := &waiter{token: newToken(), subject: "s", accepts: anyReply, sent: 1}
	a.add(first, start)
	if became, _, subject := a.again(first.token, &nats.Msg{}, start); became != second || subject != "s" {
		t.Errorf("%v %q", became, subject)
	}
	if became, _, _ := a.again(first.token, &nats.Msg{}, start.Add(rememberAnswered+1)); became != stray {
		t.Errorf("after its time: %v", became)
	}
	var last *waiter
	for range maxAnswered {
		last = &waiter{token: newToken(), subject: "s", accepts: anyReply, sent: 1}
		a.add(last, start)
	}
	if became, _, _ := a.again(first.token, &nats.Msg{}, start); became != stray {
		t.Errorf("behind too many: %v", became)
	}
	if became, _, _ := a.again(last.token, &nats.Msg{}, start); became != second || len(a.all) != maxAnswered || len(a.ring) != maxAnswered {
		t.Errorf("%v, %d remembered", became, len(a.all))
	}
}
