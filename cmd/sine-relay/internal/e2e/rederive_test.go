package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// withDefaults are the settings of a relay, and of an operator, with an integrations file
// that says this of its defaults.
func withDefaults(t *testing.T, url, defaults string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, "defaults: {%s}\n", defaults), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"NATS_URL=" + url, "KEYS=" + testKey, "INTEGRATIONS_FILE=" + file}
}

// rederives runs the command, which must succeed and print what matches.
func rederives(t *testing.T, settings []string, want string, args ...string) string {
	t.Helper()
	return must(t, environment(settings...), "(?s)"+want, append([]string{"rederive", "--since", "1h"}, args...)...)
}

// unzoned is a webhook whose date names no zone: which it is, the configuration says.
func unzoned(name string) string { return webhook("signin_after", "2026-11-18T08:12:31", name) }

// A relay ran with the wrong time zone. Once the configuration is right, so is what was
// stored before.
func TestRederive_ACorrectedConfigurationMendsWhatWasStored(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	js := server.JetStream()
	wrong, right := withDefaults(t, server.URL(), "timeZone: UTC"), withDefaults(t, server.URL(), "timeZone: Australia/Adelaide")
	p := runServe(t, wrong...).ready()
	p.must(200, "eventId", unzoned("Zmark-1"))
	p.must(200, "eventId", unzoned("Zmark-2"))

	rederives(t, wrong, `2 events read, 0 of them corrections\.\n0 would be corrected`)
	rederives(t, wrong, `0 corrections stored, 0 duplicates, 0 failed`, "--submit")
	printed := rederives(t, right, `default +default +checked_in +[0-9a-f]{32} +would be corrected +time, timeZone\n.*time +0 +2 +0\ntimeZone +0 +2 +0\n.*Time zones would be others: .*2 would be corrected\. Nothing was changed`)
	printed += rederives(t, right, `0 events read`, "--until", "59m", "--site", "default")
	if n := len(stored(t, js)); n != 2 {
		t.Fatalf("the dry run stored %d events", n-2)
	}
	rederives(t, right, `time "2026-11-18T08:12:31Z" -> "2026-11-18T08:12:31\+10:30"`, "--values")
	printed += rederives(t, right, `corrected +time, timeZone\n.*2 corrections stored, 0 duplicates, 0 failed`, "--submit", "--integration", "default")
	printed += rederives(t, right, `4 events read, 2 of them corrections\.\n0 corrections stored, 0 duplicates, 0 failed`, "--submit")
	if n := len(stored(t, js)); n != 4 {
		t.Errorf("%d events are stored, want 4", n)
	}

	var result struct {
		Events []struct {
			Event, Correction, Result string
			Revision                  int
			Changes                   []struct{ Field, Change, Before, After string }
		}
		Corrections, Stored int
		Submitted           bool
	}
	text := rederives(t, wrong, "", "--submit", "--output", "json") // somebody changes it back
	printed += text
	if err := json.Unmarshal([]byte(text), &result); err != nil || len(result.Events) != 2 || result.Stored != 2 || !result.Submitted || result.Corrections != 2 {
		t.Fatalf("%v: %s", err, text)
	}
	if e := result.Events[0]; e.Revision != 2 || e.Result != "stored" || len(e.Changes) != 2 || e.Changes[0].Field != "time" || e.Changes[0].Before+e.Changes[0].After != "" {
		t.Errorf("%+v", e)
	}
	rederives(t, right, `2 corrections stored, 0 duplicates, 0 failed`, "--submit") // and forth: NATS must not take it for the first
	rederives(t, right, `8 events read, 6 of them corrections\.\n0 would be corrected`)
	if strings.Contains(printed, "Zmark") {
		t.Errorf("personal data was printed:\n%s", printed)
	}

	everything := collectEvents(t, js, subscriber.EventsConfig{Durable: "list", Corrections: true}, 8)
	originals := collectEvents(t, js, subscriber.EventsConfig{Durable: "barrier"}, 2)
	list := map[string]visit.Event{}
	for _, e := range everything {
		if known, found := list[e.OriginalID()]; !found || e.Supersedes(&known) {
			list[e.OriginalID()] = e
		}
	}
	for _, e := range originals {
		current := list[e.ID]
		if e.IsCorrection() || len(list) != 2 || current.Revision != 3 || current.TimeZone != "Australia/Adelaide" || !current.Received.Equal(e.Received) ||
			current.RequestID != e.RequestID || current.Person != e.Person || string(current.Source) != string(e.Source) {
			t.Errorf("%+v became %+v", e, current)
		}
	}
	rows := must(t, environment(right...), "", "visits", "--since", "1h")
	if strings.Count(rows, " stored ") != 2 || len(regexp.MustCompile(` correction +correction 3 of event [0-9a-f]{32} `).FindAllString(rows, -1)) != 2 {
		t.Errorf("the corrections are not marked:\n%s", rows)
	}
	rows = must(t, environment(right...), "", "visits", "--since", "1h", "-o", "json")
	if strings.Count(rows, `"result":"correction"`) != 6 || strings.Count(rows, `"revision":2`) != 2 {
		t.Errorf("the corrections are not marked:\n%s", rows)
	}
}

// collectEvents returns the next events that a subscriber handles.
func collectEvents(t *testing.T, js jetstream.JetStream, cfg subscriber.EventsConfig, n int) (all []visit.Event) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cfg.OnError = func(err error) { t.Error(err) }
	err := subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
		if all = append(all, e); len(all) == n {
			cancel()
		}
		return nil
	})
	if err != nil || len(all) != n {
		t.Fatalf("%d events came, want %d: %v", len(all), n, err)
	}
	return all
}

// What cannot be read again is counted with its reason, and keeps nothing else from being
// mended.
func TestRederive_WhatCannotBeReadAgainIsCounted(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	js := server.JetStream()
	wrong, right := withDefaults(t, server.URL(), "timeZone: UTC"), withDefaults(t, server.URL(), "timeZone: Asia/Tokyo")
	p := runServe(t, wrong...).ready()
	p.must(200, "eventId", unzoned("Ada"))
	publish := func(subject string, data []byte) {
		t.Helper()
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	for i, change := range []func(*visit.Event){
		func(e *visit.Event) { e.Source = nil },
		func(e *visit.Event) { e.Integration = "attic" },
		func(e *visit.Event) { e.Source = visit.Source(`{"visitor":"Zmark"}`) },
	} {
		e := visit.Event{ID: fmt.Sprint("odd-", i), Kind: visit.KindCheckedIn, Source: visit.Source(unzoned("Zmark"))}
		e.Site, e.Integration, e.Received = "default", "default", time.Now()
		change(&e)
		m, err := e.Message(visit.Subjects{})
		if err != nil {
			t.Fatal(err)
		}
		publish(m.Subject, m.Data)
	}
	publish("visitors.v1.event.default.checked_out", []byte("Zmark"))
	p.webhook += "/check-out-success"
	p.must(200, "eventId", unzoned("Eve")) // a check-out by its URL
	out := rederives(t, right, `default +default +checked_out +[0-9a-f]{32} +checked_in\n.*no_source +1 .*unknown_integration +1 .*unreadable +1 .*not_an_event +1 .*5 events read, 0 of them corrections\.\n`+
		`The bodies of 1 event name another kind.*2 corrections stored, 0 duplicates, 0 failed`, "--submit")
	if strings.Contains(out, "Zmark") {
		t.Errorf("personal data was printed:\n%s", out)
	}

	// A correction that is deleted is made again: NATS still knows its id.
	stream, err := js.Stream(t.Context(), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.DeleteMsg(t.Context(), stream.CachedInfo().State.LastSeq); err != nil {
		t.Fatal(err)
	}
	rederives(t, right, `was corrected already.*0 corrections stored, 1 duplicates, 0 failed`, "--submit")
}

func TestRederive_ACorrectionThatTheStreamRefusesHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	js := server.JetStream()
	p := runServe(t, withDefaults(t, server.URL(), "timeZone: UTC")...).ready()
	p.must(200, "eventId", unzoned(strings.Repeat("Ada ", 1000)))
	p.must(200, "eventId", unzoned("Bob"))
	stream, err := js.Stream(t.Context(), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	cfg := stream.CachedInfo().Config
	cfg.MaxMsgSize = 2000
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	right := environment(withDefaults(t, server.URL(), "timeZone: Asia/Tokyo")...)
	code, out, errOut := commandLine(right, "rederive", "--since", "1h", "--submit")
	if code != exitFailed || !strings.Contains(errOut, "not all corrections could be stored") ||
		!regexp.MustCompile(`(?s)failed: publish visitors\.v1\.event\.default\.checked_in: message is too large.*1 correction stored, 0 duplicates, 1 failed`).MatchString(out) {
		t.Errorf("ended with %d:\n%s%s", code, out, errOut)
	}
	// What is refused to all ends the run.
	cfg.MaxMsgSize, cfg.MaxMsgs = -1, 3
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	right = environment(withDefaults(t, server.URL(), "timeZone: Asia/Seoul")...)
	code, out, errOut = commandLine(right, "rederive", "--since", "1h", "--submit")
	if code != exitFailed || !strings.Contains(errOut, "2 events left for the next run, which stores nothing twice: publish") || !strings.Contains(out, "0 corrections stored, 0 duplicates, 1 failed") {
		t.Errorf("ended with %d:\n%s%s", code, out, errOut)
	}
}

func TestRederive_FailsWithAReasonAndExitCode(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	away, served := natstest.Start(t), natstest.Start(t)
	away.Stop()
	makeStreams(t, served.JetStream(), 1)
	for _, c := range []struct {
		name    string
		environ []string
		args    string
		code    int
		want    string
	}{
		{"without a stream", environment("NATS_URL="+server.URL(), "KEYS="+testKey), "", exitFailed, "read stream VISITORS: no stream for the subject"},
		{"without NATS", environment("NATS_URL="+away.URL(), "KEYS="+testKey), "", exitFailed, "connect to NATS at "},
		{"without integrations", environment("NATS_URL=" + server.URL()), "", exitUsage, "no integration is configured here"},
		{"without an address", environment("KEYS=" + testKey), "", exitUsage, "SINE_RELAY_NATS_URL"},
		{"an integration that is not configured", environment("NATS_URL="+server.URL(), "KEYS="+testKey), "--integration defualt", exitUsage, `the integration "defualt" is not configured here; did you mean default\?`},
		{"a site of no integration, without events", environment("NATS_URL="+served.URL(), "KEYS="+testKey), "--site defualt", exitUsage, `no event of site "defualt" was found, and no integration .*; did you mean default\?`},
	} {
		t.Run(c.name, func(t *testing.T) {
			endsWith(t, c.code, c.environ, c.want, append([]string{"rederive", "--since", "1h"}, strings.Fields(c.args)...)...)
		})
	}
}

func TestRederive_AnInterruptedRunStoresNoMore(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	p := runServe(t, withDefaults(t, server.URL(), "timeZone: UTC")...).ready()
	p.must(200, "eventId", unzoned("Ada"))
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, errOut bytes.Buffer
	code := cli.Run(ctx, cli.Process{
		Args: []string{"rederive", "--since", "1h", "--submit"}, Stdout: &out, Stderr: &errOut,
		Environ: environment(withDefaults(t, server.URL(), "timeZone: Asia/Tokyo")...),
	})
	if code != exitFailed || !strings.Contains(errOut.String(), context.Canceled.Error()) || len(stored(t, server.JetStream())) != 1 {
		t.Errorf("ended with %d:\n%s%s", code, out.String(), errOut.String())
	}
}

// Whoever reads events, or decides, does not therefore correct them.
func TestRederive_OnlyAnOperatorStoresCorrections(t *testing.T) {
	t.Parallel()
	s := startDeployment(t, natsDir+"nats.conf")
	p := runServe(t, s.settings("relay")...).ready()
	p.must(200, "eventId", unzoned("Ada"))
	settings := func(user string) []string {
		return append(withDefaults(t, s.URL(), "timeZone: Asia/Tokyo"), s.settings(user)...)
	}
	for user, want := range map[string]string{
		"desk":     `may not publish to visitors\.v1\.event\.hq\.checked_in`,
		"consumer": `DIRECT\.GET\.VISITORS`, "decider": `DIRECT\.GET\.VISITORS`, "relay": `DIRECT\.GET\.VISITORS`, "admin": `may not publish to visitors\.v1\.event`,
	} {
		code, out, errOut := commandLine(environment(settings(user)...), "rederive", "--since", "1h", "--submit")
		if code != exitFailed || !strings.Contains(errOut, "permission denied") || !regexp.MustCompile(want).MatchString(errOut) {
			t.Errorf("%s: ended with %d:\n%s%s", user, code, out, errOut)
		}
	}
	if n := s.messages(t, visit.DefaultEventStream); n != 1 {
		t.Errorf("%d events are stored, want 1", n)
	}
	rederives(t, settings("operator"), `1 correction stored`, "--submit")
}

// Sine renames fields, and a lobby's events are stored without them until the configuration
// says where they are.
func TestRederive_ARenamedFieldIsFoundInWhatWasStored(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	js := server.JetStream()
	wrong := withDefaults(t, server.URL(), "timeZone: UTC")
	p := runServe(t, wrong...).ready()
	p.must(200, "eventId", `{"event":"signin_after","date":"`+noon+`","data":{"given":"Zmark","sign_in_ref":"v-17","represents":"Zmark Inc"}}`)
	p.must(200, "eventId", `{"event":"signin_after","date":"`+noon+`","data":{"lastName":"Bob","company":"Contoso"}}`)
	stream, err := js.Stream(t.Context(), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	var before visit.Event
	if err := json.Unmarshal(m.Data, &before); err != nil || before.Person.FirstName+before.Company+before.Visit.Value != "" {
		t.Fatalf("%+v %v", before, err)
	}

	right := withDefaults(t, server.URL(), "timeZone: UTC, fields: {person.firstName: [/data/given], company: [/data/represents], visit: [/data/signInRef]}")
	dry := rederives(t, right, `would be corrected +company, missing, person\.firstName, visit\.basis, visit\.value\n.*company +1 +0 +0\nmissing +0 +0 +1\n.*2 events read, 0 of them corrections\.\n1 would be corrected`)
	if strings.Contains(dry, "Zmark") {
		t.Errorf("personal data was printed:\n%s", dry)
	}
	rederives(t, right, `company "" -> "Zmark Inc"`, "--values")
	rederives(t, right, `1 correction stored, 0 duplicates, 0 failed`, "--submit")
	rederives(t, right, `0 corrections stored, 0 duplicates, 0 failed`, "--submit")
	all := collectEvents(t, js, subscriber.EventsConfig{Durable: "list", Corrections: true}, 3)
	if c := all[2]; !c.Supersedes(&all[0]) || c.Person.FirstName != "Zmark" || c.Company != "Zmark Inc" || c.Visit != visit.NewVisitKey("v-17") || c.Missing != nil {
		t.Errorf("%+v", c)
	}
}
