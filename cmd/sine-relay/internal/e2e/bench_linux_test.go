package e2e

import (
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// benchRound is how long one handler is measured before it is the next
	// one's turn, and benchRounds how often each has its turn.
	benchRound  = 2 * time.Second
	benchRounds = 5
)

var benchBodies = map[string][]byte{"event": benchEvent, "ask": benchAsk}

// BenchmarkWebhook is the whole webhook over HTTP at 64 clients, beside the
// floors. The figures are of the handler's own process.
func BenchmarkWebhook(b *testing.B) {
	rig := newBench(b, benchSetup{floors: floors})
	for _, path := range []string{"event", "ask"} {
		for _, role := range rig.roles {
			b.Run(path+"/"+role, func(b *testing.B) {
				var started atomic.Int64
				f := rig.load(b, rig.handlers[role], benchBodies[path], func() bool { return started.Add(1) <= int64(max(b.N, rig.clients)) })
				b.ReportMetric(f.perSecond, "req/s")
				b.ReportMetric(f.p50, "p50-µs")
				b.ReportMetric(f.p99, "p99-µs")
				b.ReportMetric(f.cpu, "cpu-µs/req")
				b.ReportMetric(f.resident, "MB-resident")
				rig.purge(b)
			})
		}
	}
}

// BenchmarkCompare lets relay and floors take turns and prints the medians of the
// ratios of each round: the machine's mood is in both sides of a ratio. Run it
// with -benchtime=1x.
func BenchmarkCompare(b *testing.B) {
	rig := newBench(b, benchSetup{floors: floors})
	all := rig.roles
	rig.roles = slices.DeleteFunc(slices.Clone(all), func(role string) bool { return role == roleFloorBoth })
	rig.compare(b, "event", "event")
	rig.roles = all
	rig.compare(b, "check-in request", "ask")
}

// BenchmarkSynced is BenchmarkCompare for events where NATS syncs each message to the
// disk, for more clients, and where one of five webhooks is a repeat.
func BenchmarkSynced(b *testing.B) {
	rig := newBench(b, benchSetup{synced: true, floors: []string{roleFloorRaw}})
	for _, clients := range []int{64, 256} {
		rig.clients, rig.repeats = clients, 0
		rig.compare(b, fmt.Sprintf("synced, %d clients", clients), "event")
	}
	rig.clients, rig.repeats = 64, 20
	rig.compare(b, "synced, 64 clients, 20 % repeats", "event")
}

// compare prints the medians of each, CPU and times in microseconds, and the ratios of
// the relay to each.
func (rig *bench) compare(b *testing.B, name, path string) {
	b.Helper()
	rounds := map[string][]figures{}
	for round := range benchRounds {
		for i := range rig.roles {
			role := rig.roles[(i+round)%len(rig.roles)] // none is always first
			end := time.Now().Add(benchRound)
			rounds[role] = append(rounds[role], rig.load(b, rig.handlers[role], benchBodies[path], func() bool { return time.Now().Before(end) }))
			rig.purge(b)
		}
	}
	// Not by the benchmark's log, which is cut after ten lines.
	fmt.Printf("\n%-34s %9s %6s %9s %9s %6s   ratio to it: %s\n", name, "1/s", "CPU", "p50", "p99", "MB", "1/s   CPU   p50   p99")
	for _, role := range rig.roles {
		of := func(f func(figures) float64) float64 { return median(rounds[role], f) }
		to := func(f func(figures) float64) float64 { return medianRatio(rounds[roleRelay], rounds[role], f) }
		fmt.Printf("%-34s %9.0f %6.0f %9.0f %9.0f %6.1f                %.2f  %.2f  %.2f  %.2f\n", role,
			of(perSecond), of(cpu), of(p50), of(p99), of(resident), to(perSecond), to(cpu), to(p50), to(p99))
	}
}

func perSecond(f figures) float64 { return f.perSecond }
func p50(f figures) float64       { return f.p50 }
func p99(f figures) float64       { return f.p99 }
func cpu(f figures) float64       { return f.cpu }
func resident(f figures) float64  { return f.resident }

func median(all []figures, of func(figures) float64) float64 {
	var values []float64
	for _, f := range all {
		values = append(values, of(f))
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// medianRatio is the median of the ratios of each round.
func medianRatio(relay, other []figures, of func(figures) float64) float64 {
	var ratios []float64
	for i := range relay {
		ratios = append(ratios, of(relay[i])/of(other[i]))
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}

// BenchmarkStart is from starting the built binary to its first 200: with a NATS
// that is there, and with an embedded one on an empty store.
func BenchmarkStart(b *testing.B) {
	binary, natsAddress := build(b), freeAddress(b)
	startNATS(b, natsAddress)
	for _, mode := range []string{"nats", "embedded"} {
		b.Run(mode, func(b *testing.B) {
			var all []time.Duration
			for b.Loop() {
				all = append(all, startOnce(b, binary, mode, natsAddress))
			}
			slices.Sort(all)
			b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, "ms-median")
		})
	}
}

func startOnce(b *testing.B, binary, mode, natsAddress string) time.Duration {
	b.Helper()
	address := freeAddress(b)
	environ := []string{"SINE_RELAY_LISTEN=" + address, "SINE_RELAY_ADMIN_LISTEN=" + freeAddress(b), "SINE_RELAY_KEYS=" + testKey}
	if mode == "nats" {
		environ = append(environ, "SINE_RELAY_NATS_URL=nats://"+natsAddress)
	} else {
		environ = append(environ, "SINE_RELAY_NATS_STORE_DIR="+b.TempDir(), "SINE_RELAY_NATS_LISTEN="+freeAddress(b))
	}
	rig, h := &bench{}, &benchHandler{urls: []string{"http://" + address + "/sine/default"}}
	begin := time.Now()
	cmd := startChild(b, []string{binary, "serve"}, environ...)
	await(b, mode, func() error { return rig.call(h, benchEvent) })
	took := time.Since(begin)
	cmd.Process.Kill()
	return took
}
