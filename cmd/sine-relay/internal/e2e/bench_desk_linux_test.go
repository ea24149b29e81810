package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	deskDecisions = 100_000 // of 30 days at 40 sites
	deskViewers   = 50
	deskPace      = 4 * time.Millisecond // between two visitors, of whom each is two webhooks
	deskRounds    = 3
	deskRound     = 6 * time.Second
)

// BenchmarkDesk has 250 visitors a second ask to come in and check in, with and without a
// desk that 50 people look at. One of them asks for the decisions of 30 days each second.
// It prints how long visitors waited for the relay's answer, and what the desk's process
// took of memory and of one processor. All of it shares the processors. Run it with
// -benchtime=1x.
func BenchmarkDesk(b *testing.B) {
	rig := newBench(b, benchSetup{})
	rig.storeDecisions(b)
	var without, with []figures
	fmt.Printf("\n%-8s %9s %9s %9s   %9s %9s %7s %12s\n", "", "1/s", "p50, ms", "p99, ms", "desk, MB", "peak, MB", "CPU, %", "30 days, ms")
	for range deskRounds {
		f := rig.visitors(b)
		without = append(without, f)
		fmt.Printf("%-8s %9.0f %9.2f %9.2f\n", "no desk", f.perSecond, f.p50/1000, f.p99/1000)
		d := rig.startDesk(b)
		pid := d.process.Process.Pid
		begun, before := time.Now(), cpuTime(b, pid)
		f = rig.visitors(b)
		with = append(with, f)
		busy := (cpuTime(b, pid) - before).Seconds() / time.Since(begun).Seconds()
		resident, peak := statusMB(b, pid, "VmRSS:"), statusMB(b, pid, "VmHWM:")
		fmt.Printf("%-8s %9.0f %9.2f %9.2f   %9.1f %9.1f %7.0f %12.0f\n", "desk", f.perSecond, f.p50/1000, f.p99/1000, resident, peak, 100*busy, d.end(b))
	}
	fmt.Printf("%-8s %9.2f %9.2f %9.2f   medians of the ratios\n", "ratio", medianRatio(with, without, perSecond), medianRatio(with, without, p50), medianRatio(with, without, p99))
}

// storeDecisions stores those of the last 30 days.
func (rig *bench) storeDecisions(b *testing.B) {
	b.Helper()
	start := time.Now().Add(-30 * 24 * time.Hour).UTC()
	for i := range deskDecisions {
		id, site := visit.NewRequestID(), fmt.Sprintf("site-%02d", i%40)
		r := visit.Record{
			RequestID: id, Reference: visit.Reference(id), Site: site, Integration: site, Received: start.Add(time.Duration(i) * (30 * 24 * time.Hour / deskDecisions)),
			Visit: visit.NewVisitKey(""), Verdict: visit.Accept, Situation: visit.SituationDecided, Rule: "all: default accepted", TookMs: 21.5, Policy: "0123456789abcdef",
		}
		m, err := r.Message(visit.Subjects{})
		if err == nil {
			_, err = rig.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		}
		if err != nil {
			b.Fatal(err)
		}
		if i%500 == 499 {
			<-rig.js.PublishAsyncComplete()
		}
	}
}

// visitors come at a steady rate, whether or not those before them were answered.
func (rig *bench) visitors(b *testing.B) figures {
	b.Helper()
	var mu sync.Mutex
	var waited []time.Duration
	var all sync.WaitGroup
	h := rig.handlers[roleRelay]
	tick := time.NewTicker(deskPace)
	defer tick.Stop()
	begun := time.Now()
	for time.Since(begun) < deskRound {
		<-tick.C
		all.Go(func() {
			asked := time.Now()
			err := rig.call(h, benchAsk)
			took := time.Since(asked)
			if err == nil {
				err = rig.call(h, benchEvent)
			}
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			waited = append(waited, took)
		})
	}
	all.Wait()
	slices.Sort(waited)
	n := len(waited)
	return figures{perSecond: 2 * float64(n) / time.Since(begun).Seconds(), p50: float64(waited[n/2].Microseconds()), p99: float64(waited[n*99/100].Microseconds())}
}

// benchDesk is a desk with people who look at it.
type benchDesk struct {
	process *exec.Cmd
	url     string
	leave   context.CancelFunc
	looking sync.WaitGroup
	updates atomic.Int64
	pages   []time.Duration // how long the decisions of 30 days took
}

// startDesk starts one that has read everything, and has people look at it.
func (rig *bench) startDesk(b *testing.B) *benchDesk {
	b.Helper()
	roles := filepath.Join(b.TempDir(), "roles.yaml")
	if err := os.WriteFile(roles, []byte(`roles: [{group: all, role: operator, sites: ["*"]}]`), 0o600); err != nil {
		b.Fatal(err)
	}
	address := freeAddress(b)
	d := &benchDesk{url: "http://" + address, process: startChild(b, []string{build(b), "desk"},
		"SINE_RELAY_NATS_URL="+rig.servers, "SINE_RELAY_DESK_LISTEN="+address, "SINE_RELAY_DESK_ADMIN_LISTEN="+freeAddress(b), "SINE_RELAY_DESK_URL=http://"+address,
		"SINE_RELAY_DESK_PROXY_USER_HEADER=X-User", "SINE_RELAY_DESK_PROXY_GROUPS_HEADER=X-Groups", "SINE_RELAY_DESK_TRUSTED_PROXIES=127.0.0.0/8",
		"SINE_RELAY_DESK_ROLES_FILE="+roles)}
	ctx, leave := context.WithCancel(context.Background())
	d.leave = leave
	await(b, "the desk has read all decisions", func() error { return d.month(ctx) })
	for i := range deskViewers {
		d.looking.Go(func() { d.look(ctx, fmt.Sprint("somebody-", i), []string{"/events?of=live", "/events?of=doors"}[i%2]) })
	}
	await(b, "the pages are kept up to date", func() error {
		if n := d.updates.Load(); n < deskViewers {
			return fmt.Errorf("%d updates", n)
		}
		return nil
	})
	d.pages = nil
	d.looking.Go(func() {
		for ctx.Err() == nil {
			begun := time.Now()
			if err := d.month(ctx); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
			d.pages = append(d.pages, time.Since(begun))
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
		}
	})
	return d
}

func (d *benchDesk) get(ctx context.Context, user, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("X-User", user)
	r.Header.Set("X-Groups", "all")
	return client.Do(r)
}

// month asks for the decisions of 30 days. The error says that they are not all there.
func (d *benchDesk) month(ctx context.Context) error {
	now := time.Now().UTC()
	r, err := d.get(ctx, "somebody", "/decisions?from="+now.AddDate(0, 0, -30).Format(time.DateOnly)+"&to="+now.Format(time.DateOnly))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	page, err := io.ReadAll(r.Body)
	if err == nil && (r.StatusCode != http.StatusOK || strings.Contains(string(page), "not on this page")) {
		err = fmt.Errorf("the decisions: %d, and not all of them", r.StatusCode)
	}
	return err
}

// look keeps a page open, and counts what is sent to it.
func (d *benchDesk) look(ctx context.Context, user, path string) {
	r, err := d.get(ctx, user, path)
	if err != nil {
		return
	}
	defer r.Body.Close()
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data:") {
			d.updates.Add(1)
		}
	}
}

// end ends it, and returns the median of how long the decisions of 30 days took, in
// milliseconds.
func (d *benchDesk) end(b *testing.B) float64 {
	b.Helper()
	d.leave()
	d.looking.Wait()
	d.process.Process.Kill()
	d.process.Wait()
	if len(d.pages) == 0 || d.updates.Load() < 2*deskViewers {
		b.Fatalf("%d pages and %d updates", len(d.pages), d.updates.Load())
	}
	slices.Sort(d.pages)
	return float64(d.pages[len(d.pages)/2].Microseconds()) / 1000
}
