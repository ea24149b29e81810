package natstest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
)

func TestMain(m *testing.M) {
	NewJudge = func() Judge {
		return func(subject string, header, data []byte) error {
			published.Lock()
			defer published.Unlock()
			published.all = append(published.all, fmt.Sprintf("%s %q %q", subject, header, data))
			return published.err
		}
	}
	m.Run()
}

var published struct {
	sync.Mutex
	all []string
	err error
}

// What clients publish is judged before anybody answers, and where nobody does.
func TestJudge_JudgesEveryMessageWithHeaders(t *testing.T) {
	published.Lock()
	before := len(published.all)
	published.Unlock()
	s := Start(t)
	nc := s.Connect(nats.Name("a - <<- %s name"))
	for _, m := range []*nats.Msg{
		{Subject: "one", Header: nats.Header{"A": {"b"}}, Data: []byte("first \r\n second")},
		{Subject: "two", Reply: "three", Header: nats.Header{"A": {"b"}}},
		{Subject: "without", Data: []byte("headers")},
	} {
		if err := nc.PublishMsg(m); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	published.Lock()
	defer published.Unlock()
	got := published.all[before:]
	want := []string{
		`one "NATS/1.0\r\nA: b\r\n\r\n" "first \r\n second"`,
		`two "NATS/1.0\r\nA: b\r\n\r\n" ""`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("judged were\n%q, want\n%q", got, want)
	}
}

// A test fails by what was published, even where its server has stopped.
func TestJudge_FailsTheTest(t *testing.T) {
	fail := func(err error) {
		published.Lock()
		defer published.Unlock()
		published.err = err
	}
	fail(errors.New("wrong"))
	defer fail(nil)
	judged := &recorder{TB: t}
	s := Start(judged)
	nc := s.Connect()
	if err := nc.PublishMsg(&nats.Msg{Subject: "one", Header: nats.Header{"A": {"b"}}}); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	s.Stop()
	for _, clean := range slices.Backward(judged.cleanups) {
		clean()
	}
	if !slices.Equal(judged.failed, []string{"a message was published that is wrong: wrong"}) {
		t.Errorf("it failed with %q", judged.failed)
	}
}

// recorder is a test whose end and failures are looked at.
type recorder struct {
	testing.TB
	cleanups []func()
	failed   []string
}

func (r *recorder) Cleanup(f func()) { r.cleanups = append(r.cleanups, f) }
func (r *recorder) Errorf(format string, args ...any) {
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}
