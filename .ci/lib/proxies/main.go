// Command proxies runs the configurations of the page "Behind a proxy" as they
// stand there, in front of two relays that are ended, killed and started while
// webhooks come, and holds what happens against what the page says.
//
//	proxies [-compare] docs/behind-a-proxy.md PROGRAMS
//
// PROGRAMS is a folder with sine-relay, nats-server and load (of
// cmd/sine-relay/internal/load). With -compare, configurations that the page
// advises against run beside the others; nothing is asserted of them.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
)

func main() {
	compare := flag.Bool("compare", false, "run what the page advises against, too")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(ctx, flag.Arg(0), flag.Arg(1), *compare); err != nil {
		fmt.Fprintln(os.Stderr, "proxies:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, page, folder string, compare bool) error {
	r, err := newRig(page, folder)
	if err != nil {
		return err
	}
	defer r.close()
	if err := r.play(ctx, compare); err != nil {
		return fmt.Errorf("%w\n%s", err, r.logs())
	}
	return nil
}

// rig is everything that runs.
type rig struct {
	all      all
	dir      string
	programs struct{ relay, nats, load string }
	snippets map[string][]string
	ports    ports
	natsURL  string
	relays   []*relay
	decider  *decider
	ends     ends
}

func newRig(page, folder string) (*rig, error) {
	text, err := os.ReadFile(page)
	if err != nil {
		return nil, err
	}
	r := &rig{snippets: snippets(text)}
	r.programs.relay, r.programs.nats, r.programs.load = filepath.Join(folder, "sine-relay"), filepath.Join(folder, "nats-server"), filepath.Join(folder, "load")
	if r.dir, err = os.MkdirTemp("", "proxies"); err != nil {
		return nil, err
	}
	if err := errors.Join(r.prepare(), r.startNATS()); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

// prepare chooses ports and writes files.
func (r *rig) prepare() (err error) {
	hosts := []string{network + "11", network + "12"}
	if r.ports.public, err = freePort(hosts...); err != nil {
		return err
	}
	if r.ports.admin, err = freePort(hosts...); err != nil {
		return err
	}
	r.ports.certificate = filepath.Join(r.dir, "certificate.pem")
	return errors.Join(writeIntegrations(r.dir), writeCertificate(r.ports.certificate))
}

func (r *rig) startNATS() error {
	port, err := freePort(proxyHost)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("%s:%d", proxyHost, port)
	r.natsURL = "nats://" + address
	cmd := exec.Command(r.programs.nats, "-a", proxyHost, "-p", fmt.Sprint(port), "-js", "-sd", filepath.Join(r.dir, "nats"))
	if _, err := r.all.launch(filepath.Join(r.dir, "nats.log"), cmd); err != nil {
		return err
	}
	return process.Await("NATS listens", 10*time.Second, func() bool { return listens(address) })
}

func (r *rig) close() {
	r.all.end()
	os.RemoveAll(r.dir)
}

// play is the whole of it.
func (r *rig) play(ctx context.Context, compare bool) (err error) {
	if r.decider, err = decide(r.natsURL); err != nil {
		return err
	}
	for _, number := range []int{11, 12} {
		r.relays = append(r.relays, newRelay(r, number))
	}
	if err := r.each((*relay).start); err != nil {
		return err
	}
	loads, err := r.startProxies(compare)
	if err != nil {
		return err
	}
	if err := errors.Join(bare(r.relays[0]), r.checks(loads), r.spoofed()); err != nil {
		return err
	}
	fmt.Println("what the page says of one call holds")
	if err := r.trouble(ctx, loads); err != nil {
		return err
	}
	return errors.Join(r.verdict(loads), r.idle(ctx, promised(loads)))
}

func (r *rig) each(do func(*relay) error) error {
	failures := make([]error, len(r.relays))
	var group sync.WaitGroup
	for i, one := range r.relays {
		group.Go(func() { failures[i] = do(one) })
	}
	group.Wait()
	return errors.Join(failures...)
}

func (r *rig) startProxies(compare bool) (loads []*load, err error) {
	for _, c := range configurations {
		if c.promised() || compare {
			p, err := r.startProxy(c)
			if err != nil {
				return nil, err
			}
			loads = append(loads, &load{proxy: p})
		}
	}
	return loads, nil
}

// promised are the loads of which the page says what becomes of them.
func promised(loads []*load) []*load {
	return slices.DeleteFunc(slices.Clone(loads), func(l *load) bool { return !l.proxy.promised() })
}

func (r *rig) checks(loads []*load) error {
	failures := make([]error, len(loads))
	var group sync.WaitGroup
	for i, l := range promised(loads) {
		group.Go(func() { failures[i] = lookAt(l.proxy) })
	}
	group.Wait()
	return errors.Join(failures...)
}

// spoofed shows what the page warns of.
func (r *rig) spoofed() error {
	p, err := r.startProxy(silent)
	if err != nil {
		return err
	}
	if err := forge(client(p), 200); err != nil {
		return fmt.Errorf("the page warns of more than is so: %w", err)
	}
	return nil
}

// trouble ends, kills and starts the relays in turn while webhooks come.
func (r *rig) trouble(ctx context.Context, loads []*load) error {
	sending, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	for _, l := range loads {
		group.Go(func() { l.run(sending) })
	}
	err := r.turns(ctx)
	stop()
	group.Wait()
	return errors.Join(err, ctx.Err())
}

// settle is longer than every proxy here takes to see that a relay is back.
const settle = 3 * time.Second

func (r *rig) turns(ctx context.Context) error {
	for _, step := range []struct {
		relay int
		end   func(*relay) error
		down  time.Duration
	}{
		{0, r.ends.terminate, 0},
		{0, r.ends.hang, 2 * time.Second},
		{1, r.ends.terminate, 0},
		{1, r.ends.kill, 2 * time.Second},
		{0, r.ends.kill, 0},
		{1, r.ends.hang, 0},
	} {
		one := r.relays[step.relay]
		if err := step.end(one); err != nil {
			return err
		}
		sleep(ctx, step.down)
		if err := one.start(); err != nil {
			return err
		}
		sleep(ctx, settle)
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// verdict prints what happened, and returns what should not have.
func (r *rig) verdict(loads []*load) error {
	var failed []error
	var ids strings.Builder
	for _, l := range loads {
		fmt.Printf("%-27s %5d calls, %4d lost, longest %5d ms%s\n", l.proxy.name, l.sent, len(l.lost), l.longest.Milliseconds(), l.how())
		if l.proxy.promised() {
			failed = append(failed, r.judge(l), r.askedTwice(l))
		}
		for _, id := range l.ids {
			fmt.Fprintln(&ids, id)
		}
	}
	return errors.Join(errors.Join(failed...), r.audit(ids.String()))
}

// judge returns what was lost in another way than the page says.
func (r *rig) judge(l *load) error {
	for _, lost := range l.lost {
		if !r.ends.explain(l.proxy.configuration, lost) {
			return fmt.Errorf("%s lost a call to %s from %s to %s, %s, which the page does not say; relays were\n%s",
				l.proxy.name, lost.path, lost.begin.Format(clock), lost.end.Format(clock), lost.how, &r.ends)
		}
	}
	return nil
}

func (r *rig) askedTwice(l *load) error {
	for _, visitor := range r.decider.twice() {
		if strings.HasPrefix(visitor, l.proxy.name+"/") {
			return fmt.Errorf("%s made two calls of one check-in request", l.proxy.name)
		}
	}
	return nil
}

// audit holds the events that were answered 200 against the stream.
func (r *rig) audit(ids string) error {
	file := filepath.Join(r.dir, "ids")
	if err := os.WriteFile(file, []byte(ids), 0o600); err != nil {
		return err
	}
	out, err := exec.Command(r.programs.load, "audit", "-nats", r.natsURL, "-ids", file, "-within", "20s").CombinedOutput()
	fmt.Printf("in the stream: %s", out)
	return err
}

// lull is longer than the proxies keep a connection to a relay.
const lull = 6 * time.Second

// idle makes one call through each proxy, nothing for a while, and one more over
// the same connection.
func (r *rig) idle(ctx context.Context, loads []*load) error {
	for _, l := range loads {
		l.idle = client(l.proxy)
	}
	for _, pause := range []time.Duration{lull, 0} {
		for _, l := range loads {
			if err := expect(l.idle, 200, pinned, key, visitor("signin_after", rand.Text())); err != nil {
				return fmt.Errorf("%s, before a pause of %s: %w", l.proxy.name, pause, err)
			}
		}
		sleep(ctx, pause)
	}
	fmt.Printf("a webhook after %s without any is answered\n", lull)
	return nil
}

// logs are the last lines of every program that the page is about.
func (r *rig) logs() string {
	var b strings.Builder
	for _, name := range []string{"nats", "relay-11", "relay-12", "nginx", "haproxy", "caddy"} {
		text, _ := os.ReadFile(filepath.Join(r.dir, name+".log"))
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		fmt.Fprintf(&b, "--- %s\n", name)
		for _, line := range lines[max(0, len(lines)-6):] {
			fmt.Fprintf(&b, "%.300s\n", line)
		}
	}
	return b.String()
}
