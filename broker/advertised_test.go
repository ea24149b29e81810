package broker_test

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

// silent is an address at which somebody accepts connections, counts them, and says
// nothing.
func silent(t *testing.T) (address string, accepted *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	accepted = new(atomic.Int64)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			defer conn.Close()
		}
	}()
	return listener.Addr().String(), accepted
}

func TestConnection_TriesAdvertisedAddressesUnlessIgnored(t *testing.T) {
	t.Parallel()
	for name, ignored := range map[string]bool{"are tried": false, "are ignored": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			p := startProxy(t, s)
			address, accepted := silent(t)
			p.advertise(address)
			reg := prometheus.NewRegistry()
			b := connectTo(t, s, func(c *broker.Config) {
				c.NATS.Servers, c.Registerer, c.NATS.IgnoreDiscovered = []string{p.url()}, reg, ignored
			})
			awaitReady(t, b)
			for i := range 2 {
				p.cut()
				for _, connection := range []string{"check_in_requests", "events"} {
					eventually(t, "it is made again", func() bool {
						return sample(t, reg, "sine_relay_nats_reconnects_total", "connection", connection) == float64(i+1)
					})
				}
			}
			if n := accepted.Load(); (n > 0) == ignored {
				t.Errorf("the advertised address was tried %d times", n)
			}
		})
	}
}
