//go:build unix

package e2e

import (
	"html"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// deskOf is the desk of a dev that runs.
type deskOf struct {
	t   *testing.T
	url string
}

func (d *devRun) desk() deskOf {
	d.t.Helper()
	address := regexp.MustCompile(`^\s*Desk +(http://\S+)`).FindStringSubmatch(d.out.String())
	if address == nil {
		d.t.Fatalf("the first line is not the desk's address:\n%s", d.out.String())
	}
	return deskOf{d.t, address[1]}
}

func (k deskOf) post(path string, fields ...string) string {
	k.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Set(fields[i], fields[i+1])
	}
	response, err := http.PostForm(k.url+path, form)
	if err != nil {
		k.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	return html.UnescapeString(string(text))
}

// try makes one of Sine's calls on the page Try it.
func (k deskOf) try(step, company string) string {
	k.t.Helper()
	return k.post("/try", "integration", "default", "step", step, "first", "Zorbina", "last", "Quillfeather", "company", company, "type", "Guest", "visit", "try-1")
}

func (k deskOf) trouble(name, on string) {
	k.t.Helper()
	k.post("/try/trouble", "name", name, "on", on)
}

// A newcomer's first minute: the address comes first, and somebody is checked in and out
// on the page, with all that went over the wire.
func TestDev_DeskChecksSomebodyInAndOut(t *testing.T) {
	d := runDev(t, "NATS_STORE_DIR="+t.TempDir(), "DECISION_BUDGET=700ms")
	k := d.desk()
	page := k.try("check-in-request", "Bexley Rigging")
	for _, want := range []string{"Welcome, Zorbina!", "POST /sine/default", "visitors.v1.ask.default.default", `"decision":"accept"`, "200 OK", `curl -i -H "x-sine-auth: $KEY"`} {
		if !strings.Contains(page, want) && !strings.Contains(strings.ReplaceAll(page, `": "`, `":"`), want) {
			t.Errorf("no %s on the page:\n%s", want, page)
		}
	}
	if page := k.try("check-in-request", "Denied"); !strings.Contains(page, "Your company is not expected today.") {
		t.Errorf("the example decider lets Denied in:\n%s", page)
	}
	if page := k.try("check-in-success", "Bexley Rigging"); !strings.Contains(page, "visitors.v1.event.default.checked_in") {
		t.Errorf("no event is on the page:\n%s", page)
	}
	k.try("check-out-success", "Bexley Rigging")
	d.prints(`event .*checked_in  site default  Zorbina`)
	d.prints(`event .*checked_out  site default  Zorbina`)
	d.end()
	if log := d.err.String(); strings.Contains(log, "Quillfeather") {
		t.Errorf("a name is in the log: %s", log)
	}
}

// Each button has its effect when the page is answered, and none when it is pressed again.
func TestDev_WhatGoesWrongDoes(t *testing.T) {
	d := runDev(t, "NATS_STORE_DIR="+t.TempDir(), "DECISION_BUDGET=700ms")
	k := d.desk()
	for _, c := range []struct{ trouble, between string }{
		{"slow", "no decision: "}, {"gone", "no decision: "}, {"lies", "no decision: "}, {"nats", "no decision: "},
	} {
		k.trouble(c.trouble, "true")
		if page := k.try("check-in-request", "Bexley Rigging"); strings.Contains(page, "Welcome, Zorbina!") || !strings.Contains(page, c.between) {
			t.Errorf("%s: the page is\n%s", c.trouble, page)
		}
		k.trouble(c.trouble, "false")
		eventually(t, "after "+c.trouble+" somebody is let in", func() bool {
			return strings.Contains(k.try("check-in-request", "Bexley Rigging"), "Welcome, Zorbina!")
		})
	}
	d.prints(`decision .*fallback for timeout`)
	d.prints(`decision .*fallback for no_decider`)
	d.prints(`decision .*fallback for bad_reply`)
	d.prints(`decision .*fallback for disconnected`)
	d.end()
}
