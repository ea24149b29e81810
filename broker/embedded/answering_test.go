package embedded

import (
	"testing"

	"github.com/nats-io/nats.go"
)

func TestAnswering_SeesEverybodyElseWhoAnswers(t *testing.T) {
	s, err := Start(Config{StoreDir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Shutdown()
	const subject = "visitors.v1.ask.hq.default"
	connect := func(user string) *nats.Conn {
		nc, err := nats.Connect(s.ClientURL(user))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(nc.Close)
		return nc
	}
	own := connect(UserDecider)
	id, err := own.GetClientID()
	if err != nil {
		t.Fatal(err)
	}
	subscribe := func(nc *nats.Conn, subject, queue string) func() {
		sub, err := nc.QueueSubscribe(subject, queue, func(*nats.Msg) {})
		if err != nil || nc.Flush() != nil || nc.LastError() != nil {
			t.Fatal(err, nc.LastError())
		}
		return func() {
			if err := sub.Unsubscribe(); err != nil || nc.Flush() != nil {
				t.Fatal(err)
			}
		}
	}
	want := func(what string, want bool) {
		t.Helper()
		if got, err := s.Answering(subject, id); err != nil || got != want {
			t.Errorf("%s: %t %v, want %t", what, got, err, want)
		}
	}
	want("nobody", false)
	subscribe(own, subject, "q")
	want("the own one", false)
	other := connect(UserDecider)
	subscribe(other, "visitors.v1.ask.depot.default", "q")
	want("one of another site", false)
	end := subscribe(other, subject, "q")
	want("another one", true)
	end()
	want("it has gone", false)
	end = subscribe(other, "visitors.v1.ask.*.default", "q")
	want("one of all sites", true)
	end()
}
