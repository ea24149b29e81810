package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// tenants are invented accounts, each with bodies as unlike Sine's documents as may be,
// and the integrations file that settles them.
const tenants = "../../../../relay/testdata/tenants"

// tenant is one of them, its name that of the integration.
type tenant struct {
	name, dir string
	settings  config.Settings
}

func eachTenant(t *testing.T, test func(*testing.T, tenant)) {
	t.Helper()
	dirs, err := filepath.Glob(tenants + "/*")
	if err != nil || len(dirs) < 20 {
		t.Fatalf("%d tenants: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			settings, err := config.LoadOffline([]string{"SINE_RELAY_INTEGRATIONS_FILE=" + dir + "/fields.yaml"})
			if err != nil || len(settings.NonFatal) > 0 {
				t.Fatal(err, settings.NonFatal)
			}
			test(t, tenant{filepath.Base(dir), dir, settings})
		})
	}
}

func (tn tenant) body(t *testing.T, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(tn.dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// The golden files have what decode prints of the two bodies, without values, and what
// subscribers and deciders get.
func TestTenants_AreSettledByTheirConfiguration(t *testing.T) {
	eachTenant(t, func(t *testing.T, tn tenant) {
		reader, err := relay.NewReader(tn.settings.Integrations, server.Limits(tn.settings))
		if err != nil {
			t.Fatal(err)
		}
		var golden bytes.Buffer
		for name, kind := range map[string]visit.Kind{"checkin": visit.KindCheckInRequest, "checkout": visit.KindCheckedOut} {
			d, err := reader.Decode(tn.name, "", tn.body(t, name), noon, visit.Subjects{})
			if err != nil || d.Kind != kind || d.Event == nil || len(d.Event.Missing) > 0 || d.Event.Company != "Denied" ||
				d.Event.Visit.Basis != visit.VisitKeyFromSine || d.Event.TimeBasis == visit.TimeReceived {
				t.Errorf("%s: %v; read as %+v", name, err, d)
			}
		}
		for _, name := range []string{"checkin", "checkout"} {
			d, _ := reader.Decode(tn.name, "", tn.body(t, name), noon, visit.Subjects{})
			golden.WriteString("# " + name + ".json\n")
			if err := newDecoded(d, false).print(&golden, asTable); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			d.Event.RequestID, d.Event.Source = "", nil
			data, err := json.MarshalIndent(d.Event, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden.WriteString("\n" + string(data) + "\n\n")
		}
		file := filepath.Join(tn.dir, "decoded.golden")
		if *update {
			if err := os.WriteFile(file, golden.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(want, golden.Bytes()) {
			t.Errorf("%s: %v; it is now (-update rewrites the file):\n%s", file, err, golden.String())
		}
	})
}

// doorkeeper rejects the company that is called Denied, and accepts everybody else: whom
// it knows nothing of, too.
type doorkeeper struct{ asked int }

func (d *doorkeeper) Ask(_ context.Context, m visit.Message) (visit.Decision, error) {
	d.asked++
	var q visit.CheckInRequest
	if err := json.Unmarshal(m.Data, &q); err != nil {
		return visit.Decision{}, err
	}
	if q.Company == "Denied" {
		return visit.Decision{Verdict: visit.Reject, VisitorText: "Denied"}, nil
	}
	return visit.Decision{Verdict: visit.Accept}, nil
}

func (*doorkeeper) Publish(context.Context, visit.Message) (visit.Receipt, error) {
	return visit.Receipt{}, nil
}

// Whatever Sine renames or leaves out, the company that is to be rejected is not let in
// because its name was not found.
func TestTenants_NobodyIsLetInBecauseANameWasNotFound(t *testing.T) {
	eachTenant(t, func(t *testing.T, tn tenant) {
		door := &doorkeeper{}
		r := tn.relay(t, door)
		whole := tn.body(t, "checkin")
		if text := post(r, tn.name, whole); !strings.Contains(text, "REJECTED") || door.asked != 1 {
			t.Fatalf("the whole body was answered %s, with %d questions", text, door.asked)
		}
		var document any
		if err := json.Unmarshal(whole, &document); err != nil {
			t.Fatal(err)
		}
		tried := 0
		eachChange(document, func(what string, changed any) {
			body, err := json.Marshal(changed)
			if err != nil {
				t.Fatal(err)
			}
			tried++
			if text := post(r, tn.name, body); !strings.Contains(text, "REJECTED") {
				t.Errorf("%s: answered %s for %s", what, text, body)
			}
		})
		if tried < 10 {
			t.Errorf("%d changes were tried", tried)
		}
	})
}

func (tn tenant) relay(t *testing.T, door *doorkeeper) *relay.Relay {
	t.Helper()
	in := tn.settings.Integrations[0]
	in.Keys = []relay.Key{relay.NewKey("k", "key-0123456789")}
	r, err := relay.New(relay.Config{
		Integrations: []relay.Integration{in}, Limits: server.Limits(tn.settings), Asker: door, Publisher: door, Orders: noOrders{},
		Logger: slog.New(slog.DiscardHandler), Registerer: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type noOrders struct{}

func (noOrders) OrdersAt(string) ([]visit.Order, bool) { return nil, true }

func post(r *relay.Relay, integration string, body []byte) string {
	req := httptest.NewRequest(http.MethodPost, relay.Path(integration, ""), bytes.NewReader(body))
	req.Header.Set("X-Sine-Auth", "key-0123456789")
	w := httptest.NewRecorder()
	r.ServeHTTP(w, req)
	return w.Body.String()
}

// eachChange takes each key of a document away, renames it, replaces its value by others,
// and adds it in another spelling, and a second company, within texts that are JSON, too.
func eachChange(document any, try func(what string, changed any)) {
	switch v := document.(type) {
	case map[string]any:
		for key, value := range v {
			put := func(what, name string, value any) {
				changed := map[string]any{}
				for k, other := range v {
					if k != key {
						changed[k] = other
					}
				}
				if name != "" {
					changed[name] = value
				}
				try(what+" "+key, changed)
			}
			put("without", "", nil)
			put("renamed", key+"Renamed", value)
			for _, spelled := range []string{"_" + key, key + "-", strings.ToUpper(key), strings.ToLower(key)} {
				if _, taken := v[spelled]; !taken && key != "p-23" { // a key that is an id: another is another person
					beside("another spelling of "+key, spelled, v, asOther(value), try)
				}
			}
			for _, other := range []any{nil, "", " \u200b", 7, []any{}, map[string]any{}, []any{value}, map[string]any{"x": value}} {
				put("another value of", key, other)
			}
			eachChange(value, func(what string, changed any) { put(key+": "+what+" within", key, changed) })
		}
		for _, key := range []string{"company", "companyName", "visitorCompany", "organisation", "employer"} {
			if _, taken := v[key]; !taken {
				beside("a second company at "+key, key, v, "Other", try)
			}
		}
		for _, key := range []string{"visitor", "guest", "person", "host", "site", "data"} {
			if _, taken := v[key]; !taken {
				beside("a second company within "+key, key, v, map[string]any{"company": "Other", "organisation": "Other"}, try)
			}
		}
	case []any:
		for i, element := range v {
			rest := append(append([]any{}, v[:i]...), v[i+1:]...)
			try("without element "+strconv.Itoa(i), rest)
			try("one element more, before "+strconv.Itoa(i), append(append(append([]any{}, v[:i]...), nil), v[i:]...))
			eachChange(element, func(what string, changed any) {
				try("element "+strconv.Itoa(i)+": "+what, append(append(append([]any{}, v[:i]...), changed), v[i+1:]...))
			})
		}
	case string:
		var inner any
		if strings.HasPrefix(v, "{") && json.Unmarshal([]byte(v), &inner) == nil {
			eachChange(inner, func(what string, changed any) {
				text, _ := json.Marshal(changed)
				try("text: "+what, string(text))
			})
		}
	}
}

// beside tries an object with one key more.
func beside(what, key string, object map[string]any, value any, try func(what string, changed any)) {
	changed := maps.Clone(object)
	changed[key] = value
	try(what, changed)
}

// asOther is a value in which the company has another name.
func asOther(value any) (other any) {
	text, _ := json.Marshal(value)
	_ = json.Unmarshal(bytes.ReplaceAll(text, []byte("Denied"), []byte("Other")), &other)
	return other
}

// The ids of two visits that differ are two keys, and the id of a person is none,
// whatever else is configured.
func TestTenants_AVisitKeyIsThatOfTheVisit(t *testing.T) {
	eachTenant(t, func(t *testing.T, tn tenant) {
		in := tn.settings.Integrations[0]
		report, reason := in.Fields.Explain(tn.body(t, "checkout"), 32)
		if reason != "" {
			t.Fatal(reason)
		}
		body := string(tn.body(t, "checkout"))
		other := strings.Replace(body, jsonText(report.VisitID), jsonText("another-"+report.VisitID), 1)
		if other == body {
			other = strings.Replace(body, report.VisitID, "9"+report.VisitID, 1)
		}
		again, reason := in.Fields.Read([]byte(other), 32)
		if reason != "" || again.VisitID == report.VisitID {
			t.Errorf("two visits have the id %q: %s", again.VisitID, reason)
		}
		if id := report.Pass.Person.ID; id != "" && id == report.VisitID {
			t.Errorf("the visit has the id of the person, %q", id)
		}
	})
}

func jsonText(s string) string {
	text, _ := json.Marshal(s)
	return string(text)
}
