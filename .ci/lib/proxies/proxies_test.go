package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestSnippets_AreFoundByLanguage(t *testing.T) {
	found := snippets([]byte("text\n```sh\none\n```\nbetween\n```yaml\ntwo\n  more\n```\n```sh\nthree\n```\n"))
	if got := strings.Join(found["sh"], "|"); got != "one\n|three\n" {
		t.Errorf("sh: %q", got)
	}
	if got := strings.Join(found["yaml"], "|"); got != "two\n  more\n" {
		t.Errorf("yaml: %q", got)
	}
}

// Every configuration can be made of the page as it is, also those that are only
// compared, which .ci/run does not run.
func TestConfigurations_AreAllOnThePage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/behind-a-proxy.md")
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{snippets: snippets(page)}
	for _, c := range append(configurations, silent) {
		text, err := r.complete(c, ports{public: 1, admin: 2, proxy: 3, certificate: "/certificate"}, "/dir")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, left := range []string{pageNetwork, pagePublic, pageCertificate} {
			if strings.Contains(text, left) {
				t.Errorf("%s still has %s", c.name, left)
			}
		}
	}
}

func TestFill_FailsWhenTheTextIsMissing(t *testing.T) {
	if _, err := fill("server 10.0.0.11:8080; cert /etc/ssl/relay.pem", ports{}, "listen 443", "listen 1"); err == nil {
		t.Error("no error")
	}
}

func TestLoss_OnlyWhatThePageDocumentsIsAllowed(t *testing.T) {
	begin := time.Now()
	at := func(seconds float64) span {
		t := begin.Add(time.Duration(seconds * float64(time.Second)))
		return span{t, t.Add(time.Millisecond)}
	}
	e := &ends{killed: []span{at(10)}, closed: []span{at(20)}}
	plain, prober := configuration{}, configuration{probes: true}
	for _, c := range []struct {
		name string
		c    configuration
		lost loss
		want bool
	}{
		{"in flight at a kill", prober, loss{span: span{at(9).begin, at(11).end}}, true},
		{"long before a kill", prober, loss{span: at(9)}, false},
		{"after a kill", prober, loss{span: at(10.8)}, false},
		{"after a kill that is not noticed yet", configuration{blind: time.Second}, loss{span: at(10.8)}, true},
		{"an event that another relay should have got", configuration{resends: true}, loss{span: at(10), path: pinned}, false},
		{"another call of such a proxy", configuration{resends: true}, loss{span: at(10), path: unpinned}, true},
		{"as a port closes", plain, loss{span: at(20)}, true},
		{"as a port closes, which the proxy knew", prober, loss{span: at(20)}, false},
	} {
		if got := e.explain(c.c, c.lost); got != c.want {
			t.Errorf("%s: %t", c.name, got)
		}
	}
}
