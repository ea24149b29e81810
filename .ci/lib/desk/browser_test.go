package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/oauth2-proxy/mockoidc"
)

// axe is the text of axe-core.
var axe = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile(os.Getenv("SINE_DESK_AXE"))
	return string(text), err
})

// browser is a Chromium with a profile of its own.
type browser struct {
	*stage
	ctx context.Context
	// signedIn are contexts in which somebody of a role is.
	signedIn map[string]context.Context
}

func newBrowser(s *stage) *browser {
	s.t.Helper()
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath("chromium"), chromedp.UserDataDir(s.t.TempDir()), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
	}
	// The certificate of the test is nobody's but the test's.
	options = append(options, chromedp.Flag("ignore-certificate-errors-spki-list", s.makeCertificate()))
	for _, flag := range []string{"disable-quic", "disable-background-networking", "disable-component-update", "disable-sync", "disable-dev-shm-usage", "hide-scrollbars"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	allocated, end := chromedp.NewExecAllocator(context.Background(), options...)
	s.t.Cleanup(end)
	ctx, cancel := chromedp.NewContext(allocated)
	s.t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		s.t.Fatalf("chromium does not start: %v", err)
	}
	return &browser{s, ctx, map[string]context.Context{}}
}

// at is the browser with another desk, and with sessions of its own there.
func (b *browser) at(url string) *browser {
	other := *b.stage
	other.url = url
	return &browser{&other, b.ctx, map[string]context.Context{}}
}

// groups are those of a user of each role.
var groups = map[string][]string{"viewer": {"guards"}, "reception": {"front-desk"}, "operator": {"duty"}, "nobody": {"cooks"}}

// tab is a page of somebody. Those of a role have a session in common.
type tab struct {
	*stage
	t     *testing.T
	ctx   context.Context
	close context.CancelFunc

	mu       sync.Mutex
	problems []string         // what the browser complains about
	expected []string         // of that
	statuses map[string]int64 // of the last response of each path
}

// open makes a tab of somebody who has not signed in.
func (b *browser) open(t *testing.T) *tab {
	t.Helper()
	p := b.newTab(t, b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(p.close)
	return p
}

// as makes a tab of somebody with a role, who has signed in at the provider. There are
// fewer sign-ins than somebody may try.
func (b *browser) as(t *testing.T, role string) *tab {
	t.Helper()
	if b.signedIn[role] == nil {
		p := b.newTab(t, b.ctx, chromedp.WithNewBrowserContext())
		p.signIn(role)
		p.readsNot("Not signed in")
		p.t = b.t
		b.t.Cleanup(p.close)
		b.signedIn[role] = p.ctx
		p.run(chromedp.Navigate("about:blank"))
	}
	p := b.newTab(t, b.signedIn[role])
	t.Cleanup(p.close)
	return p
}

func (b *browser) newTab(t *testing.T, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	p := &tab{stage: b.stage, t: t, statuses: map[string]int64{}}
	p.ctx, p.close = chromedp.NewContext(parent, append(options, chromedp.WithListener(p.listen))...)
	if err := chromedp.Do(p.ctx); err != nil { // without a timeout, which would end the tab
		t.Fatal(err)
	}
	p.run(command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}), command(network.Enable, network.EnableParams{}))
	t.Cleanup(p.unexpected)
	return p
}

// command is one of the browser's protocol.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, c, params)
		return err
	})
}

func (p *tab) signIn(role string) {
	p.t.Helper()
	p.provider.QueueUser(mockUser(role))
	p.goTo("/")
}

func mockUser(role string) *mockoidc.MockUser {
	return &mockoidc.MockUser{Subject: "user-" + role, PreferredUsername: role, Email: role + "@example.com", Groups: groups[role]}
}

// listen keeps what the browser complains about: a script that fails, a policy that is
// violated, a file that is missing.
func (p *tab) listen(event any) {
	var problem string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = fmt.Sprintf("%s %v", e.ExceptionDetails.Text, e.ExceptionDetails.Exception)
	case *network.EventResponseReceived:
		if path, ok := strings.CutPrefix(e.Response.URL, p.url); ok {
			p.mu.Lock()
			p.statuses[path] = e.Response.Status
			p.mu.Unlock()
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError {
			problem = fmt.Sprintf("%s %s", e.Entry.Text, e.Entry.URL)
		}
	}
	if problem != "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.problems = append(p.problems, problem)
	}
}

// expect says what the browser may complain about.
func (p *tab) expect(problems ...string) { p.expected = append(p.expected, problems...) }

func (p *tab) unexpected() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, problem := range p.problems {
		known := false
		for _, e := range p.expected {
			known = known || strings.Contains(problem, e)
		}
		if !known {
			p.t.Errorf("the browser complains: %s", problem)
		}
	}
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		p.t.Fatalf("%v; the page is:\n%s", err, p.text())
	}
}

// goTo opens a page of the desk.
func (p *tab) goTo(path string) {
	p.t.Helper()
	p.run(chromedp.Navigate(p.url+path), chromedp.WaitReady(chromedp.CSS("body")))
}

// text is what somebody reads on the page.
func (p *tab) text() string {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`document.body ? document.body.innerText : ""`))
	if err != nil { // a page that goes
		return err.Error()
	}
	return text
}

// html is all of the page, with what nobody reads.
func (p *tab) html() string {
	p.t.Helper()
	return get[string](p, `document.documentElement.outerHTML`)
}

// get evaluates an expression on the page.
func get[T any](p *tab, expression string) T {
	p.t.Helper()
	return value(p, chromedp.Evaluate[T](expression))
}

// value is what an action returns.
func value[T any](p *tab, action chromedp.Action[T]) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	if err != nil {
		p.t.Fatalf("%v; the page is:\n%s", err, p.text())
	}
	return v
}

// reads waits until the page has a text. White space counts once.
func (p *tab) reads(want string) {
	p.t.Helper()
	eventually(p.t, "the page says "+want, func() error {
		if text := p.text(); !strings.Contains(flat(text), flat(want)) {
			return fmt.Errorf("it says:\n%s", text)
		}
		return nil
	})
}

// readsNot waits until the page has a text no more.
func (p *tab) readsNot(unwanted string) {
	p.t.Helper()
	eventually(p.t, "the page does not say "+unwanted, func() error {
		if text := p.text(); strings.Contains(flat(text), flat(unwanted)) {
			return fmt.Errorf("it says:\n%s", text)
		}
		return nil
	})
}

func flat(text string) string { return strings.ToLower(strings.Join(strings.Fields(text), " ")) }

func (p *tab) fill(selector, value string) {
	p.t.Helper()
	p.run(chromedp.SetValue(chromedp.CSS(selector), value, chromedp.NodeVisible))
}

// clickText clicks the button or link of a text.
func (p *tab) clickText(text string) {
	p.t.Helper()
	quoted, _ := json.Marshal(text)
	p.run(chromedp.Click(chromedp.Search(`//main//*[self::button or self::a or self::summary][starts-with(normalize-space(.), `+string(quoted)+`)]`), chromedp.NodeVisible))
}

// theme is light or dark.
func (p *tab) theme(name string) {
	p.t.Helper()
	p.run(command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}}))
}

func (p *tab) width(pixels int64) {
	p.t.Helper()
	p.run(chromedp.EmulateViewport(pixels, 900))
}

// findings are those of axe-core.
type findings struct {
	Violations []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML string }
	}
	Passed int
}

// accessible wants no serious finding on the page as it is.
func (p *tab) accessible(what string) {
	p.t.Helper()
	text, err := axe()
	if err != nil {
		p.t.Fatal(err)
	}
	get[int](p, text+";0")
	found := value(p, chromedp.Evaluate[findings](`axe.run(document, {resultTypes: ["violations"]}).then(r => ({violations: r.violations, passed: r.passes.length}))`, chromedp.EvalAwaitPromise))
	if found.Passed < 10 {
		p.t.Errorf("%s: axe-core looked at %d rules only", what, found.Passed)
	}
	for _, v := range found.Violations {
		if v.Impact != "serious" && v.Impact != "critical" {
			continue
		}
		p.t.Errorf("%s: %s (%s): %s", what, v.ID, v.Impact, v.Help)
		for _, n := range v.Nodes[:min(3, len(v.Nodes))] {
			p.t.Logf("  %.300s", n.HTML)
		}
	}
}

// shot puts a picture of the page into the folder for them, if there is one.
func (p *tab) shot(name string) {
	p.t.Helper()
	folder := os.Getenv("SINE_DESK_SHOTS")
	if folder == "" {
		return
	}
	picture := value(p, chromedp.FullScreenshot(100))
	if err := os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// within fails when something took longer than it should.
func within(t *testing.T, most time.Duration, what string, do func()) {
	t.Helper()
	begin := time.Now()
	do()
	if took := time.Since(begin); took > most {
		t.Errorf("%s took %s, more than %s", what, took, most)
	}
}
