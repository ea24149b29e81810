//go:build linux && faults

package faults

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// layout is what a scenario runs on. Zero means one node, one relay, eight
// senders.
type layout struct {
	nodes, relays, senders int
	embedded               bool          // NATS is within the relay
	proxied                bool          // there is a proxy between each relay and node
	echo                   bool          // all events go to all relays at once
	stepped                bool          // the relays' wall clocks can be set, see clock_test.go
	expiring               time.Duration // the relay's credentials last so long; 0 is a password
	role                   string        // of the relays, see disk_test.go
	synced                 bool          // NATS syncs each message
	groupCommit            string        // of the relays; empty for their default
	settings               []string      // of the relays
}

// mayRefuse reports whether the settings leave a relay without time or room.
func (l layout) mayRefuse() bool {
	return slices.ContainsFunc(l.settings, func(s string) bool {
		return strings.HasPrefix(s, "STORE_BUDGET=") || strings.HasPrefix(s, "SPOOL_DIR=")
	})
}

// fixture is everything that runs in one scenario.
type fixture struct {
	t        testing.TB
	programs binaries
	key      string // for the webhook
	senders  int
	begun    time.Time
	nodes    []*node
	relays   []*relay
	proxies  [][]*proxy // by relay and node; none where they are not between
	deciders []*process
	auditor  *auditor
	load     *load
	issuer   *issuer
	creds    string // the relay's credentials, where there is an issuer
	store    string // of the NATS inside, where it is

	// One fault at a time has the rights of the relays in its hands, and one the
	// stream.
	rights, stream, network sync.Mutex

	mu       sync.Mutex
	excused  []excuse
	problems []error
}

// pace is how often a sender calls.
const pace = 30 * time.Millisecond

// newFixture brings NATS up, then the relays until they are ready.
func newFixture(t testing.TB, l layout) *fixture {
	t.Helper()
	if _, ok := t.(*testing.T); ok {
		if err := machine.watch(); err != nil {
			t.Fatal(err)
		}
	}
	r := &fixture{t: t, programs: programs(t), senders: cmp.Or(l.senders, 8), begun: time.Now(), key: fmt.Sprintf("key-of-one-run-%016x", rand.Uint64())}
	if l.stepped {
		program, err := buildStepped()
		r.must(err)
		r.programs.relay = program
	}
	if l.embedded {
		r.startEmbedded(l)
	} else {
		r.startApart(l)
	}
	r.load = newLoad(r.relays, r.key, fmt.Sprintf("%08x", rand.Uint32()), pace)
	r.load.echo = l.echo
	return r
}

// each does the same to all at once.
func each[T any](all []T, do func(T) error) error {
	failures := make(chan error, len(all))
	for _, one := range all {
		go func() { failures <- do(one) }()
	}
	var first error
	for range all {
		if err := <-failures; first == nil {
			first = err
		}
	}
	return first
}

// must ends the test where the fixture itself does not work. It is for the test's
// own goroutine; see report.
func (r *fixture) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// report notes what went wrong in a fault.
func (r *fixture) report(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.problems = append(r.problems, err)
}

func (r *fixture) excuse(x excuse) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.excused = append(r.excused, x)
}

func (r *fixture) excuses() []excuse {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]excuse(nil), r.excused...)
}

// startApart runs nodes, and relays that connect to them.
func (r *fixture) startApart(l layout) {
	r.t.Helper()
	auth, login := passwords(relayPassword), nats.UserInfo("audit", "audit")
	if l.expiring > 0 {
		auth, login = r.issueCredentials(l.expiring)
	}
	r.nodes = newNodes(r.t, max(l.nodes, 1), auth)
	for _, n := range r.nodes {
		n.synced = l.synced
	}
	r.must(each(r.nodes, (*node).start))
	var addresses []string
	for _, n := range r.nodes {
		addresses = append(addresses, n.address())
	}
	r.auditor = newAuditor(r.t, addresses, login)
	r.must(r.auditor.assembled())
	for i := range max(l.relays, 1) {
		r.addRelay(i, l, r.connect(l)...)
	}
	r.startRelays()
}

// issueCredentials is for a NATS that takes no passwords.
func (r *fixture) issueCredentials(lasting time.Duration) (auth string, login nats.Option) {
	r.issuer = newIssuer(r.t)
	dir := r.t.TempDir()
	audit := filepath.Join(dir, "audit.creds")
	r.creds = filepath.Join(dir, "relay.creds")
	r.issuer.issue(audit, time.Time{})
	r.issuer.issue(r.creds, time.Now().Add(lasting))
	return r.issuer.auth, nats.UserCredentials(audit)
}

// connect says how the next relay reaches the nodes.
func (r *fixture) connect(l layout) []string {
	var urls []string
	var proxies []*proxy
	for _, n := range r.nodes {
		url := "nats://" + n.address()
		if l.proxied {
			p := newProxy(r.t, n.address())
			proxies = append(proxies, p)
			url = p.url()
		}
		urls = append(urls, url)
	}
	if l.proxied {
		r.proxies = append(r.proxies, proxies)
	}
	settings := []string{"NATS_URL=" + strings.Join(urls, ","), fmt.Sprintf("NATS_REPLICAS=%d", len(r.nodes))}
	if r.creds != "" {
		return append(settings, "NATS_CREDENTIALS_FILE="+r.creds)
	}
	return append(settings, "NATS_USER=relay", "NATS_PASSWORD="+relayPassword)
}

// startEmbedded runs one relay with NATS within it.
func (r *fixture) startEmbedded(l layout) {
	r.t.Helper()
	r.store = r.t.TempDir()
	address := fmt.Sprintf("127.0.0.1:%d", reserve(r.t))
	r.addRelay(0, l, "NATS_STORE_DIR="+r.store, "NATS_LISTEN="+address)
	if l.role == roleSmallStore {
		r.relays[0].disk = r.store
	}
	r.startRelays()
	password, err := os.ReadFile(r.relays[0].seen(filepath.Join(r.store, "nats-passwords", "admin")))
	r.must(err)
	r.auditor = newAuditor(r.t, []string{address}, nats.UserInfo("admin", strings.TrimSpace(string(password))))
}

func (r *fixture) addRelay(number int, l layout, settings ...string) {
	if l.groupCommit != "" {
		settings = append(settings, "GROUP_COMMIT="+l.groupCommit)
	}
	one := newRelay(r.t, number, append(append(settings, "KEYS="+r.key), l.settings...)...)
	one.role = l.role
	if l.stepped {
		one.clock = filepath.Join(r.t.TempDir(), "clock")
		r.must(os.WriteFile(one.clock, make([]byte, 8), 0o600))
	}
	r.relays = append(r.relays, one)
}

func (r *fixture) startRelays() {
	r.t.Helper()
	r.must(each(r.relays, func(one *relay) error { return one.start(r.programs) }))
	for _, one := range r.relays {
		r.must(await(fmt.Sprintf("relay %d is ready", one.number), one.ready))
	}
}
