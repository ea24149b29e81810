package clientip

import "testing"

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
