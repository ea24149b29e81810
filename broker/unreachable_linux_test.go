package broker_test

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// unreachable returns an address at which a connection is neither accepted nor
// refused: the queue of its listener is full.
func unreachable(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(socket) })
	if err := errors.Join(syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(socket, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}).String()
	for range 10 {
		conn, err := net.DialTimeout("tcp", address, 200*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue does not fill")
	return ""
}

// A cluster advertises the addresses that its servers have among themselves. With
// nats.go's two seconds for each, the connection is away for longer than a visitor
// waits.
func TestTrap_UnreachableAdvertisedAddressesOutlastABudget(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	p := startProxy(t, s)
	p.advertise(unreachable(t), unreachable(t), unreachable(t))
	b := ready(t, s, func(c *broker.Config) { c.NATS.Servers = []string{p.url()} })
	decide(t, s.Connect(), func(m *nats.Msg) { m.Respond([]byte(`{"decision":"accept"}`)) })
	unlessHeldUp(t, func() error {
		eventually(t, "the door is connected", func() bool { return b.Status().RequestsConnected })
		p.cut()
		eventually(t, "it is not", func() bool { return !b.Status().RequestsConnected })
		ctx := within(t, 2500*time.Millisecond) // the default budget
		for {
			_, err := b.Ask(ctx, question())
			if !errors.Is(err, visit.ErrDisconnected) || ctx.Err() != nil {
				return err
			}
		}
	})
	if server := b.Status().Server; !strings.HasSuffix(p.url(), strings.TrimPrefix(server, "nats://")) {
		t.Errorf("connected to %s", server)
	}
}
