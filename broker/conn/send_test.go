package conn_test

import (
	"bufio"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

func TestMain(m *testing.M) { wait.Main(m) }

// connect returns a connection that is up, and of which that was announced.
func connect(t *testing.T, url string) *conn.Conn {
	t.Helper()
	c, _ := connectGated(t, url)
	return c
}

// connectGated returns the gate that what it logs goes through.
func connectGated(t *testing.T, url string) (*conn.Conn, *logtest.Gate) {
	t.Helper()
	log := &logtest.Buffer{}
	gate := logtest.NewGate(slog.NewTextHandler(log, nil))
	cfg, err := dial.Config{Servers: []string{url}}.WithDefaults()
	if err != nil {
		t.Fatal(err)
	}
	options := conn.Options{Name: "test", Logger: slog.New(gate), Metrics: conn.NewMetrics(nil)}
	c, other, err := conn.DialPair(cfg, options, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	wait.Until(t, "both are connected", func() bool { return strings.Count(log.String(), "connected to NATS") == 2 })
	other.Close()
	return c, gate
}

func expect(t *testing.T, c *conn.Conn, e conn.Expectation) *conn.PendingReply {
	t.Helper()
	one, err := c.Expect(e)
	if err != nil {
		t.Fatal(err)
	}
	return one
}

// next is the next reply, which must come.
func next(t *testing.T, r *conn.Replies) conn.Reply {
	t.Helper()
	reply, ok := r.Next(wait.Context(t, wait.Limit))
	if !ok {
		t.Fatal("no reply")
	}
	return reply
}

func TestSend_RepliesGoToTheirCallers(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	peer := s.Connect()
	if _, err := peer.Subscribe("echo.>", func(m *nats.Msg) { m.Respond(m.Data) }); err != nil {
		t.Fatal(err)
	}
	if err := peer.Flush(); err != nil {
		t.Fatal(err)
	}
	c := connect(t, s.URL())
	var calls sync.WaitGroup
	for n := range 500 {
		calls.Go(func() {
			want := fmt.Sprint("message ", n)
			reply, err := c.Request(wait.Context(t, wait.Limit), &nats.Msg{Subject: "echo.a", Data: []byte(want)})
			if err != nil || string(reply.Data) != want {
				t.Errorf("%v %v, want %q", reply, err, want)
			}
		})
	}
	calls.Wait()
}

func TestSend_EndsAtTheDeadlineAndRemindsBefore(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	nc := s.Connect()
	if _, err := nc.SubscribeSync("silent"); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	c := connect(t, s.URL())
	replies, start := conn.NewReplies(), time.Now()
	one := expect(t, c, conn.Expectation{Subject: "silent", Replies: replies, Remind: start.Add(50 * time.Millisecond), Deadline: start.Add(150 * time.Millisecond)})
	one.Send(&nats.Msg{Subject: "silent"})
	if r := next(t, replies); r.Err != conn.ErrNoReplyYet || !r.Sent || r.To != one || time.Since(start) < 50*time.Millisecond {
		t.Errorf("%+v after %s", r, time.Since(start))
	}
	if r := next(t, replies); r.Err != visit.ErrTimeout || !r.Sent || time.Since(start) < 150*time.Millisecond {
		t.Errorf("%+v after %s", r, time.Since(start))
	}
	if one.Cancel() {
		t.Error("it was still awaited")
	}
}

func TestSend_FailsWithoutAConnection(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	c := connect(t, s.URL())
	s.Stop()
	wait.Until(t, "it is not connected", func() bool { return !c.Connected() })
	send := func() conn.Reply {
		replies := conn.NewReplies()
		expect(t, c, conn.Expectation{Subject: "a", Replies: replies}).Send(&nats.Msg{Subject: "a"})
		return next(t, replies)
	}
	if r := send(); r.Err != visit.ErrDisconnected || r.Sent {
		t.Errorf("%+v", r)
	}
	c.Close()
	if r := send(); !errors.Is(r.Err, visit.ErrDisconnected) || r.Err == visit.ErrDisconnected || r.Sent {
		t.Errorf("after it was closed: %+v", r)
	}
}

// stalling is a server that reads nothing after a connection was made, until it is
// told to.
type stalling struct {
	address string
	resume  chan struct{}
	lines   chan string // that it read then
}

func startStalling(t *testing.T) *stalling {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	s := &stalling{address: listener.Addr().String(), resume: make(chan struct{}), lines: make(chan string, 1<<16)}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(client)
		}
	}()
	return s
}

func (s *stalling) serve(client net.Conn) {
	defer client.Close()
	fmt.Fprint(client, `INFO {"server_id":"S","version":"2.12.0","headers":true,"max_payload":8388608,"proto":1}`+"\r\n")
	r := bufio.NewReader(client)
	for pings := 0; pings < 1; { // after the handshake
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "PING") {
			pings++
			fmt.Fprint(client, "PONG\r\n")
		}
	}
	<-s.resume
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.HasPrefix(line, "PUB") {
			s.lines <- line
		}
	}
}

// The client's lock is held over a write to such a peer, for up to a second.
func TestSend_PeerThatReadsNothingHoldsNobodyBeyondTheDeadline(t *testing.T) {
	t.Parallel()
	s := startStalling(t)
	c := connect(t, "nats://"+s.address)
	filling := conn.NewReplies()
	for range 64 { // more than the buffers of both sides hold
		expect(t, c, conn.Expectation{Subject: "fill", Replies: filling}).Send(&nats.Msg{Subject: "fill", Data: make([]byte, 1<<20)})
	}
	var calls sync.WaitGroup
	var mu sync.Mutex
	unsent := 0
	for n := range 32 {
		calls.Go(func() {
			replies, subject, start := conn.NewReplies(), fmt.Sprintf("late.%d.", n), time.Now()
			expect(t, c, conn.Expectation{Subject: subject + "x", Replies: replies, Deadline: start.Add(100 * time.Millisecond)}).Send(&nats.Msg{Subject: subject + "x"})
			r := next(t, replies)
			if r.Err != visit.ErrTimeout && r.Err != visit.ErrDisconnected {
				t.Errorf("%+v", r)
			}
			mu.Lock()
			defer mu.Unlock()
			if !r.Sent {
				unsent++
			}
		})
	}
	calls.Wait()
	if unsent == 0 {
		t.Fatal("all were handed to the client: the peer did not hold it up")
	}
	close(s.resume)
	end := conn.NewReplies()
	expect(t, c, conn.Expectation{Subject: "end", Replies: end}).Send(&nats.Msg{Subject: "end"})
	late := 0
	for ended := false; !ended; {
		select {
		case line := <-s.lines:
			if strings.Contains(line, "late.") {
				late++
			}
			ended = strings.Contains(line, "PUB end")
		case <-end.Ready(): // it was held up for so long that the client gave the connection up
			ended = true
		}
	}
	if late > 32-unsent {
		t.Errorf("%d were sent after their deadline, %d had not been handed over", late, unsent)
	}
}

func TestSendBatch_LeavesInOrderWithoutWhatIsNotAwaited(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	peer := s.Connect()
	got := make(chan *nats.Msg, 10)
	if _, err := peer.ChanSubscribe("batch", got); err != nil {
		t.Fatal(err)
	}
	if err := peer.Flush(); err != nil {
		t.Fatal(err)
	}
	c := connect(t, s.URL())
	own, whole := conn.NewReplies(), conn.NewReplies()
	var members []*conn.PendingReply
	for range 4 {
		members = append(members, expect(t, c, conn.Expectation{Subject: "batch", Replies: own}))
	}
	members[1].Cancel()
	expect(t, c, conn.Expectation{Subject: "batch", Replies: whole}).SendBatch(func(takes func(*conn.PendingReply) bool) (all []*nats.Msg) {
		for n, m := range members {
			if takes(m) {
				all = append(all, &nats.Msg{Subject: "batch", Data: fmt.Append(nil, n)})
			}
		}
		return all
	})
	for _, want := range []string{"0", "2", "3"} {
		m := <-got
		if string(m.Data) != want || (m.Reply != "") != (want == "3") {
			t.Errorf("%s with the reply subject %q, want %s", m.Data, m.Reply, want)
		}
		m.Respond([]byte("stored")) // which nobody asked for, but of the last
	}
	if r := next(t, whole); r.Err != nil || string(r.Msg.Data) != "stored" {
		t.Errorf("%+v", r)
	}
	if !members[0].Resolve(conn.Reply{Value: 7, Sent: true}) || members[1].Resolve(conn.Reply{}) {
		t.Error("the awaited one was not resolved, or the cancelled one was")
	}
	if r := next(t, own); r.Value != 7 || r.To != members[0] {
		t.Errorf("%+v", r)
	}
}

func TestSendBatch_OfNothingIsAnError(t *testing.T) {
	t.Parallel()
	c := connect(t, natstest.Start(t).URL())
	replies := conn.NewReplies()
	expect(t, c, conn.Expectation{Subject: "batch", Replies: replies}).SendBatch(func(func(*conn.PendingReply) bool) []*nats.Msg { return nil })
	if r := next(t, replies); r.Err != conn.ErrNothingToSend || r.Sent {
		t.Errorf("%+v", r)
	}
}

// While replies are awaited on a server that will be taken down, another one is in use,
// which may have lost its power before.
func TestHandOver_TheServerOfTheSecondConnectionIsTheOneInUse(t *testing.T) {
	t.Parallel()
	servers := natstest.Cluster(t, 2, func(o *server.Options) {
		o.LameDuckGracePeriod, o.LameDuckDuration = 10*time.Second, 11*time.Second
	})
	first, other := servers[0], servers[1].Server().ID()
	c := connect(t, first.URL())
	if got, _ := c.InUse(); got != first.Server().ID() {
		t.Fatalf("connected to %s", got)
	}
	one := expect(t, c, conn.Expectation{Subject: "slow", Replies: conn.NewReplies()})
	moved := c.NextConnect()
	go first.Server().LameDuckShutdown()
	<-moved
	if !c.InGrace() {
		t.Error("a server that may just have started is believed that nobody is subscribed")
	}
	if got, _ := c.InUse(); got != other {
		t.Errorf("%s is in use, want %s", got, other)
	}
	if n := first.Server().NumClients(); n == 0 {
		t.Error("the reply is not awaited any more")
	}
	again := c.NextConnect()
	one.Cancel()
	<-again
	if got, _ := c.InUse(); got != other || !c.Connected() {
		t.Errorf("%s is in use at last, want %s", got, other)
	}
}

// Who has to send something again before anything else is sent must hear of a server first:
// nats.go may be connected to one that has lost its power for a while before it says so.
func TestInUse_AServerIsAnotherOneOnceItWasAnnounced(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	c, gate := connectGated(t, s.URL())
	first, announced := c.InUse()
	if first != s.Server().ID() {
		t.Fatalf("%s is in use", first)
	}
	disconnected, open := gate.Close("disconnected from NATS") // what nats.go calls next waits behind it
	defer open()
	s.Stop()
	<-disconnected
	s.Restart()
	wait.Until(t, "nats.go is connected", func() bool { return s.Server().NumClients() > 0 })
	if got, now := c.InUse(); got != first || now != announced || c.Connected() {
		t.Errorf("%s is in use, want %s; connected: %v", got, first, c.Connected())
	}
	conn.BelieveUp(c)
	wait.Until(t, "nothing is sent to it", func() bool {
		replies := conn.NewReplies()
		one, err := c.Expect(conn.Expectation{Subject: "first", Replies: replies})
		if err != nil {
			t.Fatal(err)
		}
		one.Send(&nats.Msg{Subject: "first"})
		r := next(t, replies)
		return r.Err == visit.ErrDisconnected && !r.Sent
	})
	open()
	<-announced
	if got, _ := c.InUse(); got != s.Server().ID() || !c.Connected() {
		t.Errorf("%s is in use, want %s; connected: %v", got, s.Server().ID(), c.Connected())
	}
}
