package desk

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// At once is for people who look at a page: within so long it says what is.
const atOnce = 15 * time.Second

// tail is the end of a log.
func tail(file string) string {
	text, _ := os.ReadFile(file)
	return string(text[max(0, len(text)-2000):])
}

func nobody(t *testing.T, b *browser) {
	p := b.open(t)
	p.expect("403")
	p.signIn("nobody")
	p.reads("ask")
	if text := p.text(); strings.Contains(text, "Headquarters") || strings.Contains(text, "front-desk") || strings.Contains(text, "guards") {
		t.Errorf("somebody without a role reads:\n%s", text)
	}
}

func withoutScript(t *testing.T, b *browser) {
	p := b.as(t, "operator")
	p.run(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}))
	for _, page := range pages {
		p.run(chromedp.Navigate(p.url + page.path))
		main := value(p, chromedp.OuterHTML(chromedp.CSS("main")))
		if !strings.Contains(strings.ToLower(main), strings.ToLower(page.title)) {
			t.Errorf("%s without script: %.500s", page.path, main)
		}
	}
	p.run(chromedp.Navigate(p.url + "/"))
	if head := value(p, chromedp.OuterHTML(chromedp.CSS("head"))); strings.Count(head, `http-equiv="refresh"`) != 1 {
		t.Error("the page of the doors does not refresh itself without script")
	}
}

// mark sets something on the page that a reload would lose.
func (p *tab) mark() {
	p.t.Helper()
	get[bool](p, `window.notReloaded = true`)
}

func (p *tab) notReloaded() {
	p.t.Helper()
	if !get[bool](p, `window.notReloaded === true`) {
		p.t.Error("the page was loaded again")
	}
}

func liveUpdates(t *testing.T, b *browser) {
	live, doors := b.as(t, "viewer"), b.as(t, "viewer")
	live.goTo("/live")
	live.mark()
	doors.goTo("/")
	doors.mark()
	before := get[string](doors, `document.getElementById("doors").innerText`)
	within(t, atOnce, "a check-in request on the page", func() {
		b.call("hq-dock", "signin_before", visitor{"V-8", "Zorbina", "Quillfeather", "Denied"})
		live.reads("hq / hq-dock")
		live.reads("rejected")
		live.readsNot("Quillfeather")
	})
	eventually(t, "the door changes", func() error {
		if now := get[string](doors, `document.getElementById("doors").innerText`); now == before {
			return fmt.Errorf("it is:\n%s", now)
		}
		return nil
	})
	live.notReloaded()
	doors.notReloaded()
}

func reveal(t *testing.T, b *browser) {
	viewer := b.as(t, "viewer")
	viewer.goTo("/live")
	viewer.reads("Check-in")
	if buttons := get[int](viewer, `document.querySelectorAll('form[action="/visit/reveal"]').length`); buttons != 0 {
		t.Errorf("a viewer has %d buttons that show a name", buttons)
	}
	p := b.as(t, "reception")
	p.goTo("/live")
	p.mark()
	p.readsNot("Wigglesworth")
	p.clickText("Show name")
	p.reads("and recorded")
	text := p.text()
	revealed := false
	for _, v := range visitors {
		revealed = revealed || strings.Contains(text, v.last)
	}
	if !revealed {
		t.Errorf("no name is shown:\n%s", text)
	}
	p.notReloaded()
	p.shot("live-revealed")
	p.goTo("/audit")
	p.reads("user-reception")
	p.accessible("/audit with an entry")
	p.shot("audit-with-an-entry")
}

func lockdown(t *testing.T, b *browser) {
	reception := b.as(t, "reception")
	reception.goTo("/orders")
	reception.readsNot("Give an order")
	p, doors := b.as(t, "operator"), b.as(t, "viewer")
	doors.goTo("/")
	doors.mark()
	p.goTo("/orders")
	p.fill(`#order-site`, "hq")
	p.fill(`#reason`, "a drill")
	p.fill(`#message`, "Please wait outside.")
	p.clickText("Continue")
	p.reads("Please wait outside.")
	p.accessible("/orders/confirm")
	p.shot("orders-confirm")
	p.expect("400") // what is typed must be the name of the site
	p.fill(`#confirm`, "mill")
	p.clickText("Lock down")
	p.reads("Nothing was ordered.")
	p.fill(`#confirm`, "hq")
	begin := time.Now()
	p.clickText("Lock down")
	p.reads("Obeyed by 2 of 2")
	t.Logf("obeyed by 2 of 2 after %s", time.Since(begin).Round(time.Millisecond))
	p.accessible("/orders/give")
	p.shot("orders-given")
	doors.reads("Locked down")
	doors.notReloaded()
	doors.shot("doors-locked-down")
	if got := b.call("hq-lobby", "signin_before", visitors[1]); !strings.Contains(got, "Please wait outside.") {
		t.Errorf("a visitor reads %s", got)
	}
	p.goTo("/orders")
	p.accessible("/orders with an order")
	p.clickText("Lift it")
	p.fill(`#confirm`, "hq")
	p.clickText("Lift")
	p.reads("Lifted")
	p.reads("Obeyed by 2 of 2")
	doors.readsNot("Locked down")
	p.goTo("/audit")
	p.reads("lockdown")
}

func tryIt(t *testing.T, b *browser) {
	p := b.as(t, "operator")
	eventually(t, "the integration may be tried", func() error {
		p.goTo("/try")
		if text := p.text(); !strings.Contains(text, "hq-lobby") {
			return fmt.Errorf("the page says:\n%s", text)
		}
		return nil
	})
	if text := p.text(); strings.Contains(text, "hq-dock") {
		t.Error("an integration that is not marked may be tried")
	}
	p.fill("#company", "Denied")
	p.clickText("Check in")
	p.reads("Your company is not expected today.")
	p.fill("#company", "Sample Works")
	p.clickText("Check in")
	p.reads("accepted")
	p.reads("Welcome.")
	p.accessible("/try after a check-in")
	p.shot("try-it-accepted")
	p.clickText("Pass is made")
	p.reads("The pass is made")
	p.clickText("Check out")
	p.reads("Checked out")
}

// natsAway: a page that is open says at once that NATS is away, and nothing on it is
// green; and it recovers by itself.
func natsAway(t *testing.T, b *browser) {
	p := b.as(t, "viewer")
	p.goTo("/")
	p.mark()
	p.readsNot("Not known at the moment")
	b.nats.kill()
	within(t, atOnce, "the page", func() { p.reads("Not known at the moment") })
	eventually(t, "no door is good", func() error {
		if good := get[int](p, `document.querySelectorAll("#doors .good").length`); good != 0 {
			return fmt.Errorf("%d doors are good", good)
		}
		return nil
	})
	p.accessible("/ without NATS")
	p.shot("doors-without-nats")
	b.startNATS()
	p.readsNot("Not known at the moment")
	p.notReloaded()
	b.call("hq-lobby", "signin_before", visitors[0])
	p.readsNot("unknown")
}
