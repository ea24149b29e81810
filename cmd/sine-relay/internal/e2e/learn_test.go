package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// otherwise is a body of an account that calls everything otherwise.
func otherwise(event, time, number string) string {
	return fmt.Sprintf(`{"ereignis":%q,"zeitpunkt":"2026-11-18T%sZ","besuch":{"nummer":%q},"besucher":{"kennung":"Zmark-K","vorname":"Zmark","nachname":"Zmark","firma":"Zmark AG"}}`, event, time, number)
}

// An account calls everything otherwise. Two visits and one command later, the relay that
// runs understands it, and nothing that came before is lost.
func TestLearn_TwoVisitsSettleWhatAnAccountSends(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	settings := withDefaults(t, server.URL(), "timeZone: UTC, fallbacks: {unreadable: {visitorText: 'Please wait.'}}")
	p := runServe(t, settings...).ready()
	for n, e := range []string{"anfrage", "anmeldung", "abmeldung"} {
		for visit := range 2 {
			p.must(200, "Please wait", otherwise(e, fmt.Sprintf("%02d:10:00", 8+3*visit+n), fmt.Sprintf("Zmark-%d", visit)))
		}
	}
	learns := func(want string, args ...string) string {
		t.Helper()
		return must(t, environment(settings...), "(?s)"+want, append([]string{"learn"}, args...)...)
	}
	printed := learns("visit +proposed +/besuch/nummer .*the same in check-in and check-out, another at each visit")
	printed += learns("anfrage: check_in_request.*anmeldung: checked_in.*abmeldung: checked_out.*visit: \\[/besuch/nummer\\]", "--write")
	eventually(t, "the relay obeys the file", func() bool {
		answer, err := p.calls("default", testKey, otherwise("anmeldung", "22:10:00", "Zmark-9"))
		return err == nil && strings.Contains(answer.body, "eventId")
	})
	must(t, environment(settings...), `4 stored, \d+ duplicates, 0 failed`, "quarantine", "replay", "--submit")
	printed += learns("company +found +/besucher/firma .*Nothing is proposed")
	if printed += p.err.String() + p.out.String(); strings.Contains(printed, "Zmark") {
		t.Errorf("personal data was printed:\n%s", printed)
	}
	learns("Zmark AG", "--values")

	code, _, errOut := commandLine(environment("NATS_URL="+server.URL(), "SITE=attic"), "learn", "--since", "1ns")
	if code != exitFailed || !strings.Contains(errOut, "no body of integration default in the last 1ns: make a test visit") {
		t.Errorf("of nothing it ended with %d: %s", code, errOut)
	}
	code, _, errOut = commandLine(environment("NATS_URL=nats://127.0.0.1:1", "SITE=attic"), "learn")
	if code != exitFailed || !strings.Contains(errOut, "127.0.0.1:1") {
		t.Errorf("without NATS it ended with %d: %s", code, errOut)
	}
}

// guided is learn --rejection, with somebody who answers.
type guided struct {
	t        *testing.T
	out, err logtest.Buffer
	answers  *io.PipeWriter
	ended    chan int
}

func guide(t *testing.T, settings []string, args ...string) *guided {
	t.Helper()
	in, answers := io.Pipe()
	g := &guided{t: t, answers: answers, ended: make(chan int, 1)}
	go func() {
		args := append([]string{"learn", "--rejection", "--wait", "1s"}, args...)
		g.ended <- cli.Run(context.Background(), cli.Process{Args: args, Environ: environment(settings...), Stdin: in, Stdout: &g.out, Stderr: &g.err})
	}()
	t.Cleanup(func() { answers.Close() })
	g.sees("Press Enter")
	return g
}

func (g *guided) sees(text string) {
	g.t.Helper()
	eventually(g.t, "it says "+text, func() bool { return strings.Contains(g.out.String(), text) })
}

func (g *guided) answer(line string) {
	g.t.Helper()
	if _, err := io.WriteString(g.answers, line+"\n"); err != nil {
		g.t.Fatal(err)
	}
}

// name is the last name that the test visitor is to have.
func (g *guided) name() string {
	return regexp.MustCompile(`\n +(Test\w+)\n`).FindStringSubmatch(g.out.String())[1]
}

func (g *guided) ends(code int, text string) {
	g.t.Helper()
	if ended := <-g.ended; ended != code || !strings.Contains(g.out.String()+g.err.String(), text) {
		g.t.Errorf("ended with %d:\n%s%s\nwant %d and %q", ended, g.out.String(), g.err.String(), code, text)
	}
}

func ofVisitor(event, last string) string {
	return fmt.Sprintf(`{"event":%q,"date":%q,"data":{"firstName":"Ada","lastName":%q,"company":"Denied"}}`, event, noon, last)
}

func fileOf(t *testing.T, settings []string) string {
	t.Helper()
	for _, s := range settings {
		if file, ok := strings.CutPrefix(s, "INTEGRATIONS_FILE="); ok {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			return string(text)
		}
	}
	return ""
}

// One visit settles whether a rejection is obeyed. Nobody decides here, so the fallback
// rejects the visitor.
func TestLearn_OneVisitSettlesWhetherARejectionIsObeyed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	for name, c := range map[string]struct {
		answers []string
		passed  bool // a pass is made all the same
		want    string
		file    string
	}{
		"the iPad shows the text":        {[]string{"", "1"}, false, "Sine obeys the rejection", "rejectionConfirmed: true"},
		"the iPad shows another text":    {[]string{"", "what?", "2"}, false, "does not read the relay's text", "rejectionConfirmed: true"},
		"the iPad goes on":               {[]string{"", "3"}, false, "does NOT obey the rejection: the iPad went on", "rejectMode: status"},
		"a pass is made, whatever it is": {[]string{"", "1"}, true, "does NOT obey the rejection: a pass was made", "rejectMode: status"},
	} {
		t.Run(name, func(t *testing.T) {
			settings := withDefaults(t, server.URL(), "timeZone: UTC")
			p := runServe(t, settings...).ready()
			g := guide(t, settings, "--write")
			p.must(200, "REJECTED", ofVisitor("signin_before", g.name()))
			if c.passed {
				p.must(200, "eventId", ofVisitor("signin_after", strings.ToUpper(g.name())))
			}
			p.must(200, "eventId", ofVisitor("signin_after", "Somebody-else"))
			for _, line := range c.answers {
				g.answer(line)
			}
			g.ends(exitOK, c.want)
			if file := fileOf(t, settings); !strings.Contains(file, c.file) || !strings.Contains(file, "timeZone: UTC") {
				t.Errorf("the file is now\n%s", file)
			}
		})
	}
}

// Of a visit that shows nothing, nothing is concluded, and nothing is written.
func TestLearn_AVisitThatShowsNothingConcludesNothing(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	rejects, accepts := withDefaults(t, server.URL(), "timeZone: UTC"), withDefaults(t, server.URL(), "fallbacks: {no_decider: {decision: accept}}")
	before := fileOf(t, rejects)
	p := runServe(t, accepts...).ready()
	g := guide(t, accepts, "--write")
	p.must(200, "SUCCESS", ofVisitor("signin_before", g.name()))
	g.answer("")
	g.ends(exitFailed, "the relay accepted the visitor")
	p.end()

	p = runServe(t, rejects...).ready()
	g = guide(t, rejects, "--write")
	p.must(200, "REJECTED", ofVisitor("signin_before", g.name()))
	p.must(200, "REJECTED", ofVisitor("signin_before", "Somebody-else"))
	eventually(t, "both are recorded, and the one of before", func() bool {
		stream, err := server.JetStream().Stream(t.Context(), visit.DefaultDecisionStream)
		return err == nil && stream.CachedInfo().State.Msgs == 3
	})
	g.answer("")
	g.sees("Which is the test visitor?")
	g.answer("3")
	g.sees("a number from 1 to 2")
	g.answer("1")
	g.sees("What did the iPad show?")
	g.answers.Close()
	g.ends(exitFailed, "nothing is concluded")

	g = guide(t, rejects)
	g.answers.Close()
	g.ends(exitFailed, "nothing is concluded")
	if after := fileOf(t, rejects); after != before {
		t.Errorf("the file was changed:\n%s", after)
	}
	g = guide(t, rejects)
	g.answer("")
	g.ends(exitFailed, "no check-in request came to integration default")
	status := withDefaults(t, server.URL(), "rejectMode: status")
	must(t, environment(status...), "rejects by status", "learn", "--rejection")
	code, out, errOut := commandLine(environment("NATS_URL=nats://127.0.0.1:1", "SITE=attic"), "learn", "--rejection")
	if code != exitFailed || strings.Contains(out, "1. ") {
		t.Errorf("without NATS it ended with %d: %s%s", code, out, errOut)
	}
}
