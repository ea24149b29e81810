package trial

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

const requestID = "K7Q2M3456789ABCDEFGH"

// fakeRelay answers each call with a fixed response, and keeps the call. It does not read
// the body.
type fakeRelay struct {
	status int
	body   string

	called *http.Request
	sent   []byte
}

func (f *fakeRelay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.called = r
	f.sent, _ = io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set(visit.HeaderRequestID, requestID)
	if f.status == http.StatusFound {
		w.Header().Set("Location", "/elsewhere")
	}
	w.WriteHeader(f.status)
	io.WriteString(w, f.body)
}

func newTrial(t *testing.T, f *fakeRelay) *Trial {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return New(Config{
		URL: server.URL + "/", Targets: func() []desk.TryTarget { return []desk.TryTarget{{Integration: "lobby", Site: "hq"}} },
		Key: func(string) (string, error) { return "lobby-key-0123456789", nil },
	})
}

var visitor = desk.TryCall{
	Step: desk.TryRequest, Visit: "V-1", FirstName: "Zoë", LastName: "O'Neil", Company: "Bexley Rigging", VisitorType: "Contractor",
	HostFirst: "Ada", HostLast: "Lovelace", Answers: [][2]string{{"Have you read the rules?", "Yes"}},
}

func TestTry_SendsWhatSineWouldSend(t *testing.T) {
	f := &fakeRelay{status: 200, body: `{"code":"SUCCESS"}`}
	if _, err := newTrial(t, f).Try(context.Background(), "lobby", visitor); err != nil {
		t.Fatal(err)
	}
	if f.called.Method != http.MethodPost || f.called.URL.Path != "/sine/lobby" || f.called.Header.Get("x-sine-auth") != "lobby-key-0123456789" {
		t.Errorf("%s %s %v", f.called.Method, f.called.URL, f.called.Header)
	}
	if f.called.Header.Get(visit.HeaderSynthetic) != "true" {
		t.Error("an admin listener would not answer it")
	}
	var sent struct {
		Event string
		Date  time.Time
		Data  json.RawMessage
	}
	const want = `{"visitId":"V-1","firstName":"Zoë","lastName":"O'Neil","company":"Bexley Rigging","passType":"Contractor",` +
		`"host":{"firstName":"Ada","lastName":"Lovelace"},"formResponses":{"responses":[{"label":"Have you read the rules?","value":"Yes"}]}}`
	if err := json.Unmarshal(f.sent, &sent); err != nil || sent.Event != "signin_before" || time.Since(sent.Date).Abs() > time.Minute || string(sent.Data) != want {
		t.Errorf("%s, %v", f.sent, err)
	}
}

func TestTry_OnlyACheckOutSaysThatTheVisitorLeft(t *testing.T) {
	builtin, faults := fields.Compile(fields.Spec{})
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	for _, step := range []desk.TryStep{desk.TryRequest, desk.TryCheckIn, desk.TryCheckOut} {
		f := &fakeRelay{status: 200, body: `{"code":"SUCCESS"}`}
		call := visitor
		call.Step = step
		if _, err := newTrial(t, f).Try(context.Background(), "lobby", call); err != nil {
			t.Fatal(err)
		}
		read, reason := builtin.Read(f.sent, 32)
		if left := read.Cause == visit.CauseCheckedOut; reason != "" || left != (step == desk.TryCheckOut) {
			t.Errorf("%s: a relay reads %q, %s", step, read.Cause, reason)
		}
	}
}

func TestTry_SaysWhatTheIPadWouldShow(t *testing.T) {
	for name, c := range map[string]struct {
		step     desk.TryStep
		status   int
		body     string
		accepted bool
		text     string
		notes    []string
	}{
		"an acceptance with a note":         {desk.TryRequest, 200, `{"code":"SUCCESS","visitorNotes":"Welcome","adminNotes":"Floor 3"}`, true, "Welcome", []string{"adminNotes: Floor 3"}},
		"a rejection with a text":           {desk.TryRequest, 200, `{"code":"REJECTED","message":"Not today","visitorNotes":"No"}`, false, "Not today", nil},
		"a rejection by its status":         {desk.TryRequest, 403, `{"code":"REJECTED","message":"Not today"}`, false, "Not today", nil},
		"an event that is stored":           {desk.TryCheckIn, 200, `{"code":"SUCCESS","eventId":"E"}`, true, "", nil},
		"an event that cannot be stored":    {desk.TryCheckOut, 503, `{"code":"UNAVAILABLE","message":"Please send it again."}`, false, "Please send it again.", nil},
		"a redirect, which aborts":          {desk.TryRequest, 302, ``, false, "", nil},
		"another template, in lower case":   {desk.TryRequest, 200, `{"code":"success","gate":"B","number":7}`, true, "", []string{"gate: B"}},
		"something that is not JSON at all": {desk.TryRequest, 502, `<html>`, false, "", nil},
	} {
		call := visitor
		call.Step = c.step
		got, err := newTrial(t, &fakeRelay{status: c.status, body: c.body}).Try(context.Background(), "lobby", call)
		if err != nil || got.Accepted != c.accepted || got.Text != c.text || !slices.Equal(got.Notes, c.notes) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got.RequestID != requestID || got.Reference != "K7Q2M" {
			t.Errorf("%s: %s, %s", name, got.RequestID, got.Reference)
		}
	}
}

func TestTry_ShowsWhatWentOverTheWire(t *testing.T) {
	trial := newTrial(t, &fakeRelay{status: 200, body: `{"code":"SUCCESS"}`})
	trial.cfg.Between = func(id string, begin time.Time) []desk.TryMessage {
		if id != requestID || time.Since(begin) > time.Minute {
			t.Errorf("%s, %s", id, begin)
		}
		return []desk.TryMessage{{From: "relay", To: "default", What: "visitors.v1.ask.hq.default"}}
	}
	got, err := trial.Try(context.Background(), "lobby", visitor)
	if err != nil || len(got.Messages) != 3 {
		t.Fatalf("%+v, %v", got.Messages, err)
	}
	for i, want := range []string{"POST /sine/lobby", "visitors.v1.ask.hq.default", "200 OK"} {
		if got.Messages[i].What != want {
			t.Errorf("message %d is %q, want %q", i, got.Messages[i].What, want)
		}
	}
	all, err := json.Marshal(got)
	if err != nil || strings.Contains(string(all), "lobby-key-0123456789") {
		t.Errorf("the key is in %s, %v", all, err)
	}
}

// The command is read by a shell as it stands, whatever a visitor is called.
func TestTry_CurlIsACommandForAShell(t *testing.T) {
	f := &fakeRelay{status: 200, body: `{}`}
	got, err := newTrial(t, f).Try(context.Background(), "lobby", visitor)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-c", `KEY='the key'; curl() { for a; do printf '%s\n' "$a"; done; }; `+got.Curl).Output()
	words := strings.Split(string(out), "\n")
	if err != nil || !slices.Contains(words, "x-sine-auth: the key") || !slices.Contains(words, string(f.sent)) {
		t.Errorf("%s: %q, %v", got.Curl, words, err)
	}
}

func TestTry_RefusesWhatMayNotBeTried(t *testing.T) {
	trial := newTrial(t, &fakeRelay{status: 200})
	if _, err := trial.Try(context.Background(), "dock", visitor); !errors.Is(err, errNotATarget) {
		t.Errorf("an integration that is not marked: %v", err)
	}
	if _, err := trial.Try(context.Background(), "lobby", desk.TryCall{Step: "other"}); err == nil {
		t.Error("a call that Sine does not make is sent")
	}
	if err := trial.SetTrouble(context.Background(), "nats", true); err == nil || trial.Troubles() != nil {
		t.Error("something can be made to go wrong")
	}
	trial.cfg.Key = func(string) (string, error) { return "", errors.New("no file") }
	if _, err := trial.Try(context.Background(), "lobby", visitor); err == nil || !strings.Contains(err.Error(), "API key of lobby: no file") {
		t.Errorf("no key: %v", err)
	}
}

func TestTry_NamesARelayThatCannotBeReached(t *testing.T) {
	server := httptest.NewServer(&fakeRelay{})
	server.Close()
	trial := newTrial(t, &fakeRelay{})
	trial.cfg.URL = server.URL
	_, err := trial.Try(context.Background(), "lobby", visitor)
	if err == nil || !strings.Contains(err.Error(), "call the relay") || strings.Contains(err.Error(), "O'Neil") {
		t.Error(err)
	}
	trial.cfg.URL = ":"
	if _, err := trial.Try(context.Background(), "lobby", visitor); err == nil {
		t.Error("a URL that is none")
	}
}
