package desk

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// crossSite: another site has the browser of somebody who has signed in post a form.
func crossSite(t *testing.T, b *browser) {
	p := b.as(t, "operator")
	p.expect("403", "ERR_")
	evil := newSite(t, fmt.Sprintf(`<form method="post" action="%s/orders/give"><input name="action" value="lockdown"><input name="site" value="hq"><input name="confirm" value="hq"></form><script>document.forms[0].submit()</script>`, b.url))
	p.run(chromedp.Navigate(evil))
	eventually(t, "the post of another site is refused", func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if status := p.statuses["/orders/give"]; status != http.StatusForbidden {
			return fmt.Errorf("it is answered %d", status)
		}
		return nil
	})
	p.goTo("/orders")
	p.reads("No standing order is in force")
}

// newSite is a page at another address.
func newSite(t *testing.T, html string) string {
	t.Helper()
	address := freeAddress(t)
	server := &http.Server{Addr: address, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		bytes.NewBufferString(html).WriteTo(w)
	})}
	go server.ListenAndServe()
	t.Cleanup(func() { server.Close() })
	eventually(t, "the other site is there", func() error {
		response, err := http.Get("http://" + address)
		if err == nil {
			response.Body.Close()
		}
		return err
	})
	return "http://" + address
}

// lifetime is the shortest that a session may have.
const lifetime = time.Minute

// expiry is somebody at a desk whose sessions are short, from the beginning of the test.
type expiry struct {
	*browser
	page *tab
	end  func(*testing.T, *browser)
}

func beginExpiry(t *testing.T, b *browser) *expiry {
	e := &expiry{browser: b.at(b.startDesk("short-desk.log", "http", "DESK_SESSION_LIFETIME="+lifetime.String()))}
	e.page = e.open(t)
	e.page.expect("401")
	e.page.signIn("viewer")
	e.page.goTo("/decisions")
	e.page.reads("Decisions")
	e.end = e.expired
	return e
}

// expired: a page that is open says that its session has ended, and nothing is done with
// that session; whoever signs in again is back on the page.
func (e *expiry) expired(t *testing.T, _ *browser) {
	p := e.page
	p.t = t
	eventuallyWithin(t, lifetime+patience, "the page says that the session has ended", func() error {
		if text := p.text(); !strings.Contains(text, "your session has ended") {
			return fmt.Errorf("it says:\n%s", text)
		}
		return nil
	})
	status := value(p, chromedp.Evaluate[int](`fetch("/orders/give", {method: "POST", body: new URLSearchParams({action: "lockdown"})}).then(r => r.status)`, chromedp.EvalAwaitPromise))
	if status != http.StatusUnauthorized {
		t.Errorf("a post with the session that has ended is answered %d", status)
	}
	p.provider.QueueUser(mockUser("viewer"))
	p.goTo("/decisions")
	p.reads("Decisions")
	p.readsNot("your session has ended")
	if path := get[string](p, `location.pathname`); path != "/decisions" {
		t.Errorf("after signing in again the page is %s", path)
	}
}

// signedOut: what somebody copied out of the browser is of no use after the sign-out,
// neither at this desk nor at another one with the same keys.
func signedOut(t *testing.T, b *browser) {
	p := b.open(t)
	p.signIn("viewer")
	p.reads("Doors")
	copied := p.cookies()
	second := b.startDesk("second-desk.log", "http")
	for _, desk := range []string{b.url, second} {
		if status := statusWith(t, desk, copied); status != http.StatusOK {
			t.Fatalf("the copy is answered %d at first", status)
		}
	}
	p.run(chromedp.Click(chromedp.CSS(`form[action="/sign-out"] button`), chromedp.NodeVisible))
	p.reads("You are signed out of the desk")
	for _, desk := range []string{b.url, second} {
		eventually(t, "the copy is none", func() error {
			if status := statusWith(t, desk, copied); status != http.StatusUnauthorized {
				return fmt.Errorf("it is answered %d", status)
			}
			return nil
		})
	}
}

// cookies are those of the desk in the browser.
func (p *tab) cookies() []*network.Cookie {
	p.t.Helper()
	var all []*network.Cookie
	p.run(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		got, err := cdp.Call(ctx, target, network.GetCookies, network.GetCookiesParams{URLs: []string{p.url + "/"}})
		all = got.Cookies
		return err
	}))
	return all
}

// statusWith is what a script gets that has copied cookies.
func statusWith(t *testing.T, desk string, copied []*network.Cookie) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, desk+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range copied {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// byTLS: people come by https, as in production.
func byTLS(t *testing.T, b *browser) {
	b = b.at(b.startDesk("tls-desk.log", "https", "DESK_TLS_CERT_FILE="+b.path("desk.crt"), "DESK_TLS_KEY_FILE="+b.path("desk.key")))
	p := b.as(t, "operator")
	p.goTo("/live")
	p.reads("Live")
	p.mark()
	session := false
	for _, c := range p.cookies() {
		if !c.Secure || !c.HTTPOnly || !strings.HasPrefix(c.Name, "__Host-sine-relay-") {
			t.Errorf("the cookie %s is not for https alone", c.Name)
		}
		session = session || c.Name == "__Host-sine-relay-session"
	}
	if !session {
		t.Error("there is no session")
	}
	within(t, atOnce, "a check-in request on the page", func() {
		b.call("hq-annex", "signin_before", visitor{"V-9", "Zorbina", "Quillfeather", "Denied"})
		p.reads("hq / hq-annex")
	})
	p.notReloaded()
	crossSite(t, b)
}

// makeCertificate makes one that the desk has and nobody signed, and returns the hash by
// which the browser knows its key.
func (s *stage) makeCertificate() string {
	s.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		s.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		s.t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("desk.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	s.write("desk.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	hash := sha256.Sum256(public)
	return base64.StdEncoding.EncodeToString(hash[:])
}
