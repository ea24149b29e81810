package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/outbox/spool"
	"github.com/sine-relay/sine-relay/visit"
)

// hostile would clear the screen, name the window, forge a line, go back to the
// line's beginning and turn the direction of writing.
const (
	hostile     = "mark\x1b[2J\x1b]0;x\x07\u009b1m\r\u202eevil"
	hostileLine = hostile + "\nforged line\tand cell"
)

// mustBePrintable fails for what a terminal would obey, and where the mark of the
// hostile text is missing: then nothing was tried.
func mustBePrintable(t *testing.T, what, text string) {
	t.Helper()
	if !strings.Contains(text, "mark") {
		t.Errorf("%s shows nothing of the text:\n%q", what, text)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) {
		t.Errorf("%s prints what a terminal obeys:\n%q", what, text)
	}
	if strings.Contains("\n"+text, "\nforged") {
		t.Errorf("%s prints a forged line:\n%s", what, text)
	}
}

// Whatever others wrote, no command prints what a terminal obeys.
func TestOutput_CommandsPrintNoControlCharacters(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	runServe(t, "NATS_URL="+server.URL()).ready()
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	show := func(args ...string) string {
		t.Helper()
		_, out, errOut := commandLine(environ, args...)
		return out + errOut
	}
	check := func(args ...string) {
		t.Helper()
		mustBePrintable(t, strings.Join(args, " "), show(args...))
	}
	publish := func(subject string, header nats.Header, data []byte) {
		t.Helper()
		if _, err := server.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: subject, Header: header, Data: data}); err != nil {
			t.Fatal(err)
		}
	}

	record := mustJSON(t, visit.Record{
		Received: time.Now(), RequestID: hostileLine, Site: hostileLine, Integration: hostileLine, Rule: hostileLine, Policy: hostileLine,
		Verdict: hostileLine, Visit: visit.VisitKey{Basis: visit.VisitKeyFromSine, Value: hostileLine},
		Order: &visit.OrderNote{Kind: hostileLine, By: hostileLine},
		Votes: []visit.Vote{{Decider: hostileLine, Version: hostileLine, Situation: hostileLine, Verdict: hostileLine}},
	})
	publish("visitors.v1.decision.default.accepted", nats.Header{visit.HeaderRequestID: {"K7Q2M"}}, record)
	check("explain", "K7Q2M")
	check("visits")
	check("visits", "--output", "json")

	event := visit.Event{ID: hostileLine, Kind: visit.KindCheckedIn, Origin: visit.Origin{RequestID: hostileLine, Site: "default", Integration: "default", Received: time.Now()}}
	event.Source = mustJSON(t, fields{"event": "signin_after", "data": fields{"firstName": hostileLine}})
	publish("visitors.v1.event.default.checked_in", nil, mustJSON(t, event))
	check("rederive", "--since", "1h", "--values")
	check("rederive", "--since", "1h", "--output", "json")

	header := strings.ReplaceAll(hostile, "\r", "")
	publish("visitors.v1.quarantine.default", nats.Header{
		visit.HeaderRequestID: {header}, visit.HeaderIntegration: {header}, visit.HeaderReason: {header}, visit.HeaderKind: {header},
		visit.HeaderID: {header}, visit.HeaderRefusedSubject: {header}, visit.HeaderReceived: {noon},
	}, []byte(hostile))
	check("quarantine", "ls")
	check("quarantine", "ls", "--all")
	check("quarantine", "show", "1")
	check("quarantine", "replay")

	services := server.Connect()
	stats := mustJSON(t, micro.Stats{
		ServiceIdentity: micro.ServiceIdentity{Name: visit.DeciderService, ID: hostileLine, Version: hostileLine},
		Endpoints:       []*micro.EndpointStats{{Subject: "visitors.v1.ask.default.default"}},
	})
	stranger := mustJSON(t, micro.Stats{
		ServiceIdentity: micro.ServiceIdentity{Name: visit.RelayService, ID: hostileLine, Version: hostileLine},
		Endpoints: []*micro.EndpointStats{{Name: "status", Data: mustJSON(t, visit.RelayStatus{
			State: hostileLine, Sites: []string{"default"}, SiteCount: 1, Orders: []visit.RelayOrder{{Kind: hostileLine, Site: hostileLine}},
		})}},
	})
	for subject, reply := range map[string][]byte{
		"$SRV.STATS." + visit.RelayService:   stranger,
		"$SRV.STATS." + visit.DeciderService: stats,
		"visitors.v1.ask.default.default":    mustJSON(t, visit.Decision{Verdict: visit.Accept, Version: hostileLine, VisitorText: hostileLine, Pass: map[string]json.RawMessage{"note": mustJSON(t, hostileLine)}}),
	} {
		if _, err := services.Subscribe(subject, func(m *nats.Msg) { m.Respond(reply) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := services.Flush(); err != nil {
		t.Fatal(err)
	}
	check("deciders")
	check("ask")

	check("lockdown", "--wait", "100ms", "--site", "default", "--message", "mark \u200e", "--by", "mark \u200e")
	check("orders")
	check("lockdown", "lift", "--wait", "100ms", "--site", "default")
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestOutput_SpooledMessagesArePrintable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Put(t.Context(), spool.Entry{Message: visit.Message{
		Root: visit.RootEvent, Subject: hostileLine, ID: hostileLine, Header: map[string][]string{visit.HeaderIntegration: {hostileLine}},
	}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, out, _ := commandLine(nil, "spool", "ls", "--dir", dir)
	mustBePrintable(t, "spool ls", out)
}

// What answers on an address need not be a relay.
func TestOutput_ForeignHTTPResponsesArePrintable(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, hostile) }))
	defer stranger.Close()
	_, out, errOut := commandLine(environment("ADMIN_LISTEN="+strings.TrimPrefix(stranger.URL, "http://")), "health")
	mustBePrintable(t, "health", out+errOut)
	server := natstest.Start(t)
	_, out, errOut = commandLine(environment("NATS_URL="+server.URL(), "KEYS="+testKey), "verify", "--settling", "0s", "--public", stranger.URL, "--admin", stranger.URL)
	mustBePrintable(t, "verify", out+errOut)
}
