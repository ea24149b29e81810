package embedded

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestAnswered_NamesWhatEverybodyElseAnswers(t *testing.T) {
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
	want := func(what string, want ...string) {
		t.Helper()
		if got, err := s.Answered(id); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v %v, want %v", what, got, err, want)
		}
	}
	want("nobody")
	subscribe(own, subject, "q")
	want("the own one")
	other := connect(UserDecider)
	end := subscribe(other, subject, "q")
	want("another one", subject)
	again := subscribe(connect(UserDecider), subject, "q")
	want("two", subject)
	end()
	again()
	want("they have gone")
	subscribe(other, "visitors.v1.ask.*.default", "q")
	want("one of all sites", "visitors.v1.ask.*.default")
}
