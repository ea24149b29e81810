//go:build linux && faults

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// startApart runs nodes, and relays that connect to them.
func (r *rig) startApart(l layout) {
	r.t.Helper()
	auth, login := passwords(relayPassword), nats.UserInfo("audit", "audit")
	if l.expiring > 0 {
		auth, login = r.issueCredentials(l.expiring)
	}
	r.nodes = newNodes(r.t, max(l.nodes, 1), auth)
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
func (r *rig) issueCredentials(lasting time.Duration) (auth string, login nats.Option) {
	r.issuer = newIssuer(r.t)
	dir := r.t.TempDir()
	audit := filepath.Join(dir, "audit.creds")
	r.creds = filepath.Join(dir, "relay.creds")
	r.issuer.issue(audit, time.Time{})
	r.issuer.issue(r.creds, time.Now().Add(lasting))
	return r.issuer.auth, nats.UserCredentials(audit)
}

// connect says how the next relay reaches the nodes.
func (r *rig) connect(l layout) []string {
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
func (r *rig) startEmbedded(l layout) {
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

func (r *rig) addRelay(number int, l layout, settings ...string) {
	one := newRelay(r.t, number, append(append(settings, "KEYS="+r.key), l.settings...)...)
	one.role = l.role
	if l.stepped {
		one.clock = filepath.Join(r.t.TempDir(), "clock")
		r.must(os.WriteFile(one.clock, make([]byte, 8), 0o600))
	}
	r.relays = append(r.relays, one)
}

func (r *rig) startRelays() {
	r.t.Helper()
	r.must(each(r.relays, func(one *relay) error { return one.start(r.programs) }))
	for _, one := range r.relays {
		r.must(await(fmt.Sprintf("relay %d is ready", one.number), one.ready))
	}
}
