package relay

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/visit"
)

// typical is a body of 1.5 KB.
var typical = func() string {
	var answers []string
	for i := range 8 {
		answers = append(answers, fmt.Sprintf(`{"label":"Question number %d on the form?","value":"An answer to question %d that goes on for a while, as answers on such forms do"}`, i, i))
	}
	return `{"event":"signin_after","date":"2026-11-18T21:42:31.000Z","data":{"firstName":"Marguerite","lastName":"Oyelaran","company":"Bexley Rigging Pty Ltd",` +
		`"photoURL":"https://images.example.com/visitors/7f1c.jpg","host":{"firstName":"Dominic","lastName":"Faleolo","hostGroupName":"Maintenance Planning"},` +
		`"formResponses":{"responses":[` + strings.Join(answers, ",") + `]}}}`
}()

// BenchmarkDecode is from Sine's body to the finished message.
func BenchmarkDecode(b *testing.B) {
	in, err := testIntegrations(Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("k", testKey)}})[0].complete()
	if err != nil {
		b.Fatal(err)
	}
	body := []byte(typical)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d, reason := in.Fields.Read(body, 32)
		if reason != "" {
			b.Fatal(reason)
		}
		x := &exchange{in: &in, id: "K7Q2M3456789ABCDEFGH", start: time.Now(), kind: in.kindOf(d.Event)}
		if _, err := x.newEvent(d).Message(visit.Subjects{}); err != nil {
			b.Fatal(err)
		}
	}
}

// acknowledging stores nothing and says that it did.
type acknowledging struct{}

func (acknowledging) Ask(context.Context, visit.Message) (visit.Decision, error) {
	return visit.Decision{Verdict: visit.Accept}, nil
}

func (acknowledging) Publish(context.Context, visit.Message) (visit.Receipt, error) {
	return visit.Receipt{}, nil
}

// discarding is a response that goes nowhere.
type discarding struct{ header http.Header }

func (d discarding) Header() http.Header { return d.header }

func (d discarding) Write(p []byte) (int, error) { return len(p), nil }

func (d discarding) WriteHeader(int) {}

// BenchmarkHandler is the whole handler, with a broker that does nothing.
func BenchmarkHandler(b *testing.B) {
	for name, body := range map[string]string{"event": typical, "check-in": strings.Replace(typical, "signin_after", "signin_before", 1)} {
		b.Run(name, func(b *testing.B) { benchmarkHandler(b, body) })
	}
}

func benchmarkHandler(b *testing.B, body string) {
	r, err := New(Config{
		Integrations: testIntegrations(Integration{Name: "lobby", Site: "hq", Keys: []Key{NewKey("k", testKey)}}), Limits: testLimits,
		Asker: acknowledging{}, Publisher: acknowledging{},
		Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.NewJSONHandler(io.Discard, nil)),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		req, err := http.NewRequest(http.MethodPost, "/sine/lobby", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("X-Sine-Auth", testKey)
		req.Header.Set("Content-Type", "application/json")
		r.ServeHTTP(discarding{http.Header{}}, req)
	}
}
