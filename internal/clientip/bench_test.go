package clientip

import (
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

func BenchmarkAddress(b *testing.B) {
	for _, c := range []struct {
		name string
		by   Header
		line string
	}{
		{"X-Forwarded-For", XForwardedFor, outside + ", 10.0.0.2"},
		{"Forwarded", Forwarded, `for="203.0.113.7:5678";proto=https;host=relay.example.com, for=10.0.0.2`},
		{"32 hops", XForwardedFor, outside + hops(maxElements-1)},
		{"2 MiB of quotes", Forwarded, enormous()["quotes"][0]},
		{"2 MiB of escaped quotes", Forwarded, enormous()["escaped quotes"][0]},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, h := trusting(b, c.by), header(c.by, c.line)
			b.ReportAllocs()
			for b.Loop() {
				p.Address(proxy, h)
			}
		})
	}
}

// BenchmarkBlocked is one client that fails again and again, a table full of
// clients that take turns, and newcomers when all places are taken.
func BenchmarkBlocked(b *testing.B) {
	for _, c := range []struct {
		name    string
		clients uint32
		pace    time.Duration // between two failures
	}{
		{"one client", 1, time.Millisecond},
		{"as many as there are places", 10_000, time.Millisecond},
		{"more than there are places, slowly", 100_000, 10 * time.Second},
		{"more than there are places, at once", 100_000, 0},
	} {
		b.Run(c.name, func(b *testing.B) {
			l, start := NewLimiter(DefaultLimits), newClock().now
			var turn atomic.Uint32
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					n := turn.Add(1)
					i := n % c.clients
					from := netip.AddrFrom4([4]byte{198, byte(i >> 16), byte(i >> 8), byte(i)})
					l.Blocked(from, start.Add(time.Duration(n)*c.pace))
				}
			})
		})
	}
}
