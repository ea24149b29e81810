package desk

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// flooded is a broker with one reveal among very many other entries.
func flooded() *fakeBroker {
	b := stored()
	start := time.Now().Add(-48 * time.Hour).Truncate(time.Hour)
	entry := func(n int, action visit.Action, user, subject string) {
		b.audits = append(b.audits, visit.Audit{ID: fmt.Sprint(n), Time: start.Add(time.Duration(n) * time.Second), Action: action, Site: "hq", Subject: subject, User: user, Role: "viewer"})
	}
	entry(0, visit.ActionReveal, "eve", "the-one")
	for n := range 1000 {
		entry(n+1, visit.ActionExport, "mallory", "")
	}
	for n := range 3000 {
		entry(n+1001, visit.ActionTry, "trent", fmt.Sprint("try-", n))
	}
	return b
}

func TestAudit_WhatIsDoneAgainPushesNothingOffThePage(t *testing.T) {
	b := flooded()
	b.audits = b.audits[:1001]
	f := newFixture(t, b)
	f.read(t)
	a := f.get(t, "vera", "/audit")
	if a.status != http.StatusOK || !strings.Contains(a.text, "the-one") || !strings.Contains(a.text, "1000 times") || strings.Count(a.text, "<tr>") != 3 {
		t.Errorf("it got %d: %s", a.status, a.text)
	}
	checkHTML(t, "/audit", a.text)
}

func TestAudit_HasPagesAndShowsOneActionOrUser(t *testing.T) {
	f := newFixture(t, flooded())
	f.read(t)
	for path, c := range map[string]struct {
		rows        int
		want, never string
	}{
		"/audit":                                   {auditPageSize, "try-2999", "the-one"},
		"/audit?page=1":                            {auditPageSize, "try-2899", "try-2999"},
		"/audit?page=19":                           {auditPageSize, "What is older is not listed", "Older entries"},
		"/audit?page=99999999999999999999":         {auditPageSize, "Newer entries", "Older entries"},
		"/audit?action=reveal":                     {1, "the-one", "1000 times"},
		"/audit?by=" + userToken("eve"):            {1, "the-one", "1000 times"},
		"/audit?action=try&by=" + userToken("eve"): {0, "Nothing was recorded that you ask for", "the-one"},
	} {
		a := f.get(t, "vera", path)
		if rows := strings.Count(a.text, `<th scope="row">`); a.status != http.StatusOK || rows != c.rows || !strings.Contains(a.text, c.want) || strings.Contains(a.text, c.never) {
			t.Errorf("%s got %d with %d entries", path, a.status, rows)
		}
		checkHTML(t, path, a.text)
	}
	if a := f.get(t, "vera", "/audit?action=nothing"); a.status != http.StatusBadRequest || !strings.Contains(a.text, "There is no such action") {
		t.Errorf("an action that is not there got %d", a.status)
	}
}

// An address is kept by browsers and proxies: it has no user.
func TestAudit_ItsAddressesNameNobody(t *testing.T) {
	f := newFixture(t, flooded())
	f.read(t)
	a := f.get(t, "vera", "/audit?page=1&by="+userToken("trent"))
	for _, link := range strings.Split(a.text, `href="`)[1:] {
		if address, _, _ := strings.Cut(link, `"`); strings.Contains(address, "trent") {
			t.Errorf("a link leads to %s", address)
		}
	}
	if !strings.Contains(a.text, `<option value="`+userToken("trent")+`" selected>trent</option>`) {
		t.Error("the user is not chosen")
	}
}
