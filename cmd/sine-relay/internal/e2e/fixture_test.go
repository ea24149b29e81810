package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// fields are a JSON object.
type fields = map[string]any

// responseTemplates are answers that show every text, so that one in the wrong place
// is seen.
var responseTemplates = fields{
	"accept": fields{"code": "SUCCESS", "visitor": "{visitorText}", "admin": "{adminNote}", "ref": "{ref}"},
	"reject": fields{"code": "REJECTED", "message": "{visitorText}", "staff": "{adminNote}", "reference": "{ref}"},
}

// integrationsOf writes integrations and their keys to files, and returns the
// settings that name those. JSON is YAML.
func integrationsOf(t *testing.T, integrations []fields) (settings []string) {
	t.Helper()
	files, keys := &mounted{t: t, dir: t.TempDir()}, &mounted{t: t, dir: t.TempDir()}
	files.write(map[string]string{"integrations.json": inJSON(t, fields{"integrations": integrations})})
	content := map[string]string{}
	for _, i := range integrations {
		content[i["name"].(string)] = keyOf(i["name"].(string))
	}
	keys.write(content)
	return []string{"KEYS=", "KEYS_DIR=" + keys.dir, "INTEGRATIONS_FILE=" + filepath.Join(files.dir, "integrations.json")}
}

func keyOf(integration string) string { return "key-of-" + integration + "-0123456789" }

func inJSON(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// runIntegrations runs a relay with the integrations of these settings.
func runIntegrations(t *testing.T, integrations []string, settings ...string) *program {
	t.Helper()
	return runServe(t, append(integrations, settings...)...).ready()
}

// natsDenying is a NATS that lets the relay publish everywhere but there.
func natsDenying(t *testing.T, subject string) *natstest.Server {
	t.Helper()
	return natstest.Start(t, func(o *server.Options) {
		denied := &server.SubjectPermission{Deny: []string{subject}}
		o.Users = []*server.User{
			{Username: "relay", Password: testKey, Permissions: &server.Permissions{Publish: denied}},
			{Username: "team", Password: testKey},
		}
	})
}

// asRelay and asTeam are its users.
func asRelay(s *natstest.Server) (settings []string) {
	return []string{"NATS_URL=" + s.URL(), "NATS_USER=relay", "NATS_PASSWORD=" + testKey}
}

var asTeam = nats.UserInfo("team", testKey)

// response is what a caller was answered.
type response struct {
	status int
	id     string // of the request
	body   string
	took   time.Duration
}

// calls sends a webhook; path begins with the integration's name.
func (p *program) calls(path, key, body string) (response, error) {
	start := time.Now()
	req, err := http.NewRequest(http.MethodPost, strings.TrimSuffix(p.webhook, "default")+path, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	req.Header.Set("x-sine-auth", key)
	req.Header.Set("Content-Type", "application/json")
	answer, err := p.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	return response{answer.StatusCode, answer.Header.Get(visit.HeaderRequestID), string(text), time.Since(start)}, err
}

// visitor is calls with the integration's own key, where there must be an answer.
func (p *program) visitor(path, body string) response {
	integration, _, _ := strings.Cut(path, "/")
	answer, err := p.calls(path, keyOf(integration), body)
	if err != nil {
		p.t.Errorf("%s: %v", path, err)
	}
	return answer
}

// counted returns the samples of a metric that are not 0, by their labels.
func (p *program) counted(metric string) map[string]float64 {
	p.t.Helper()
	_, text := p.get("/metrics")
	samples := map[string]float64{}
	for line := range strings.Lines(text) {
		sample, found := strings.CutPrefix(strings.TrimSpace(line), metric)
		if !found {
			continue
		}
		labels, value, _ := strings.Cut(sample, " ")
		if n, err := strconv.ParseFloat(value, 64); err == nil && n != 0 {
			samples[strings.Trim(labels, "{}")] = n
		}
	}
	return samples
}

// sameJSON reports whether a text is the JSON of v.
func sameJSON(t *testing.T, text string, v any) bool {
	t.Helper()
	var compact bytes.Buffer
	return json.Compact(&compact, []byte(text)) == nil && compact.String() == inJSON(t, v)
}

// fakeDecider is a decider on a connection of its own that leaves its requests to the
// test. A request that the test did not expect stays where it is.
type fakeDecider struct {
	t        *testing.T
	nc       *nats.Conn
	requests chan *nats.Msg
}

func newFakeDecider(t *testing.T, s *natstest.Server, subject string, o ...nats.Option) *fakeDecider {
	t.Helper()
	p := &fakeDecider{t: t, nc: s.Connect(o...), requests: make(chan *nats.Msg, 64)}
	if _, err := p.nc.ChanSubscribe(subject, p.requests); err != nil {
		t.Fatal(err)
	}
	if err := p.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return p
}

// next is the next request, or nil when none comes.
func (p *fakeDecider) next() *nats.Msg {
	select {
	case m := <-p.requests:
		return m
	case <-time.After(patience):
		return nil
	}
}

// take returns the next n requests, which must come.
func (p *fakeDecider) take(t *testing.T, n int) (all []*nats.Msg) {
	t.Helper()
	for range n {
		m := p.next()
		if m == nil {
			t.Fatalf("%d requests were asked, want %d", len(all), n)
		}
		all = append(all, m)
	}
	return all
}
