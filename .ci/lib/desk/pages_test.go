package desk

import (
	"strings"
	"testing"
)

// pages are all pages, and the role from which on they are there.
var pages = []struct{ path, title, from string }{
	{"/", "Doors", "viewer"}, {"/live", "Live", "viewer"}, {"/visit", "Visit", "viewer"}, {"/decisions", "Decisions", "viewer"},
	{"/orders", "Orders", "viewer"}, {"/quarantine", "Not understood", "viewer"}, {"/audit", "Audit", "viewer"}, {"/try", "Try it", "operator"},
}

var roles = []string{"viewer", "reception", "operator"}

// widths are those of a phone, a tablet and a screen.
var widths = map[string]int64{"phone": 390, "tablet": 820, "screen": 1440}

// TestDesk is one test with parts: all of them look at one stage.
func TestDesk(t *testing.T) {
	s := newStage(t)
	s.day()
	b := newBrowser(s)
	expiring := beginExpiry(t, b)
	for _, part := range []struct {
		name string
		run  func(*testing.T, *browser)
	}{
		{"PagesShowWhatARoleMaySee", pagesOfRoles},
		{"PagesAreAccessible", pagesAreAccessible},
		{"PagesAreReadableWithoutScript", withoutScript},
		{"ScreenshotsAreMade", screenshots},
		{"NobodyWithoutARoleSeesAnything", nobody},
		{"LiveShowsWhoComesWithoutAReload", liveUpdates},
		{"VisitRevealsANameAndRecordsIt", reveal},
		{"LockdownIsObeyedByAll", lockdown},
		{"TryItChecksSomebodyIn", tryIt},
		{"CrossSitePostIsRefused", crossSite},
		{"ByTLSCookiesAreSecureAndPagesAreLive", byTLS},
		{"ExpiredSessionSignsInAgain", expiring.end},
		{"SignedOutSessionIsNoneForACopy", signedOut},
		{"FaultsAreNamedOnTheDoors", faultsAreNamed},
		{"NATSThatIsAwayIsNamedAndComesBack", natsAway},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(t, b) }) && t.Failed() {
			t.Logf("the desk's log: %s", tail(s.path("desk.log")))
		}
	}
}

// pagesOfRoles: each page for each role, and no name on any of them.
func pagesOfRoles(t *testing.T, b *browser) {
	for n, role := range roles {
		p := b.as(t, role)
		for _, page := range pages {
			there := n >= indexOf(roles, page.from)
			if !there {
				p.expect("404", "403")
			}
			p.goTo(page.path)
			if !there {
				p.readsNot("check in")
				continue
			}
			p.reads(page.title)
			html := p.html()
			for _, v := range visitors {
				if strings.Contains(html, v.last) || strings.Contains(html, v.first) {
					t.Errorf("%s, %s: a name is on the page", role, page.path)
				}
			}
			if role == "reception" && strings.Contains(html, "The mill") {
				t.Errorf("%s, %s: another site is on the page", role, page.path)
			}
		}
	}
}

func indexOf(all []string, one string) int {
	for i, s := range all {
		if s == one {
			return i
		}
	}
	return len(all)
}

func pagesAreAccessible(t *testing.T, b *browser) {
	p := b.as(t, "operator")
	for _, theme := range []string{"light", "dark"} {
		p.theme(theme)
		for _, page := range pages {
			p.goTo(page.path)
			p.accessible(page.path + ", " + theme)
		}
	}
}

func screenshots(t *testing.T, b *browser) {
	p := b.as(t, "operator")
	for _, theme := range []string{"light", "dark"} {
		p.theme(theme)
		for name, width := range widths {
			p.width(width)
			for _, page := range pages {
				p.goTo(page.path)
				p.wide(page.path)
				p.shot(strings.Join([]string{strings.ReplaceAll(strings.ToLower(page.title), " ", "-"), name, theme}, "-"))
			}
		}
	}
}

// wide wants nothing beyond the right edge: nobody finds it there on a phone.
func (p *tab) wide(path string) {
	p.t.Helper()
	if get[bool](p, `document.documentElement.scrollWidth > document.documentElement.clientWidth`) {
		p.t.Errorf("%s: something is beyond the right edge", path)
	}
}
