package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
)

// endsWith runs a command that must end with a code, and print what is wanted.
func endsWith(t *testing.T, want int, environ []string, prints string, args ...string) {
	t.Helper()
	code, out, errOut := commandLine(environ, args...)
	if code != want || !regexp.MustCompile(prints).MatchString(out+errOut) {
		t.Errorf("%v ended with %d:\n%s%s\nwant %d and %s", args, code, out, errOut, want, prints)
	}
}

func TestAsk_TriesACheckInWithoutAVisitor(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	endsWith(t, exitFailed, environ, `(?s)default +reject +no_decider .*reason +all: default rejected by fallback for no_decider.*HTTP 200\n\{"adminNotes":.*"code":"REJECTED"`, "ask")
	asked := make(chan visit.CheckInRequest, 10)
	decideAt(t, server, "default", func(q visit.CheckInRequest) visit.Decision {
		asked <- q
		return visit.Decision{Verdict: visit.Accept, VisitorText: "Welcome"}
	})
	must(t, environ, `(?s)default +accept +decided +[0-9.]+ ms .*reason +all: default accepted.*HTTP 200\n\{"code":"SUCCESS","visitorNotes":"Welcome"\}`, "ask")
	if q := wait.Receive(t, "the question", asked); !q.Synthetic || q.Person.FirstName != "Marguerite" {
		t.Errorf("asked about %+v", q)
	}
	fails(t, environ, "(?s)in force.*no relay obeys it", "lockdown", "--wait", "0s", "--all-sites", "--message", "Gas leak")
	endsWith(t, exitFailed, environ, `(?s)reason +rejected by lockdown of every site.*Gas leak`, "ask")
	if len(asked) > 0 {
		t.Error("a decider was asked during a lockdown")
	}
	code, _, errOut := commandLine(environ, "ask", "--integration", "attic")
	if code != exitFailed || !strings.Contains(errOut, "integration attic is not configured") {
		t.Errorf("ended with %d: %s", code, errOut)
	}
	nc := server.Connect()
	info, err := nc.Request("$JS.API.STREAM.NAMES", nil, patience)
	if err != nil || strings.Contains(string(info.Data), "VISITOR_DECISIONS") {
		t.Errorf("it made streams: %s %v", info.Data, err)
	}
}

// A script must tell an integration that works from one for which nobody decides.
func TestAsk_EndsWithWhatBecameOfTheVisitor(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	bare := environment("NATS_URL="+server.URL(), "DECISION_BUDGET=300ms")
	endsWith(t, exitFailed, bare, "situation +no_decider", "ask", "--site", "default")
	leave := make(chan struct{})
	decideAt(t, server, "watchlist", func(q visit.CheckInRequest) visit.Decision {
		switch q.Company {
		case "Denied":
			return visit.Decision{Verdict: visit.Reject}
		case "Slow":
			<-leave
		}
		return visit.Decision{Verdict: visit.Accept}
	})
	defer close(leave)
	for company, want := range map[string]struct {
		code   int
		prints string
	}{
		"Denied": {exitFailed, "all: watchlist rejected"},
		"Slow":   {exitFailed, "situation +timeout"},
		"Other":  {exitOK, "all: watchlist accepted"},
	} {
		body := filepath.Join(t.TempDir(), "body.json")
		if err := os.WriteFile(body, []byte(`{"event":"signin_before","data":{"firstName":"Ada","company":"`+company+`"}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		endsWith(t, want.code, bare, want.prints, "ask", "--site", "default", "--decider", "watchlist", "--file", body)
	}
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("defaults: {fallbacks: {no_decider: {decision: accept}}}\nintegrations: [{name: lobby, site: hq}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	configured := append(bare, "SINE_RELAY_INTEGRATIONS_FILE="+file)
	endsWith(t, exitFailed, configured, `accepted by fallback for no_decider(?s:.*)"code":"SUCCESS"`, "ask", "--integration", "lobby")
	endsWith(t, exitFailed, configured, "integration attic is not configured", "ask", "--integration", "attic")
	endsWith(t, exitFailed, configured, "integration loby is not configured; did you mean lobby\\?", "ask", "--integration", "loby")
	endsWith(t, exitFailed, environment("NATS_URL=nats://127.0.0.1:1"), "connect to NATS", "ask", "--site", "hq")
	for args, want := range map[string]string{
		"":                              "no integration is configured here",
		"--site hq --integration lobby": "either --integration or --site",
		"--decider watchlist":           "--decider needs --site",
		"--site a.b":                    `--site "a.b" must match`,
	} {
		endsWith(t, exitUsage, bare, want, append([]string{"ask"}, strings.Fields(args)...)...)
	}
	endsWith(t, exitUsage, configured, "--site is for a machine without", "ask", "--site", "hq")
}

// What becomes of a made-up body says nothing of an integration that expects more.
func TestAsk_SaysWhatTheMadeUpBodyLacks(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	decideAt(t, server, "default", acceptAll)
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	file := write("integrations.yaml", "integrations:\n"+
		"- {name: lobby, site: default, expects: [person.lastName, host.lastName, visit], fields: {visit: [/data/ref]}}\n")
	environ := environment("NATS_URL="+server.URL(), "INTEGRATIONS_FILE="+file)
	endsWith(t, exitFailed, environ, `(?s)situation +incomplete.*Note: the body was made up, and integration lobby expects what it does not find in it: host\.lastName, visit; give .* by --file\.`,
		"ask", "--integration", "lobby")
	endsWith(t, exitFailed, environ, `"note": "the body was made up, and .*host\.lastName, visit; `, "ask", "--integration", "lobby", "--output", "json")
	given := write("body.json", `{"event":"signin_before","data":{"lastName":"L","ref":"1","host":{"lastName":"F"}}}`)
	if out := must(t, environ, "result +accepted", "ask", "--integration", "lobby", "--file", given); strings.Contains(out, "Note") {
		t.Errorf("a body that was given is noted:\n%s", out)
	}
	given = write("less.json", `{"event":"signin_before","data":{"lastName":"L"}}`)
	if code, out, _ := commandLine(environ, "ask", "--integration", "lobby", "--file", given); code != exitFailed || strings.Contains(out, "made up") {
		t.Errorf("ended with %d:\n%s", code, out)
	}
	without := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	endsWith(t, exitFailed, append(without, "SINE_RELAY_JSON_DEPTH=1"), "the body cannot be read .too_deep.*; the body was made up, and integration default cannot read it .too_deep.; give ", "ask")
	endsWith(t, exitFailed, without, "integration lobby is not configured here: without SINE_RELAY_INTEGRATIONS_FILE there is only default", "ask", "--integration", "lobby")
}

// A lockdown that ask cannot see must not look like an integration that accepts.
func TestAsk_FailsWhereTheOrdersCannotBeRead(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t, natstest.WithUser("relay", "Zsecret"), func(o *server.Options) {
		o.Users[0].Permissions = &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.>"}}}
	})
	environ := environment("NATS_URL="+server.URL(), "NATS_USER=relay", "NATS_PASSWORD=Zsecret")
	endsWith(t, exitFailed, environ, `(?s)situation +no_decider.*the standing orders are not known here.*CONSUMER\.CREATE\.KV_VISITOR_ORDERS`, "ask", "--site", "default")
}
