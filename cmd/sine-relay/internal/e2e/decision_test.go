package e2e

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
)

// What a decider sends reaches Sine only where it means the same to every reader,
// and a rejection that can be read is never taken for anything else. Here whatever
// is no decision lets visitors in.
func TestWhatADeciderSendsIsCheckedBeforeSineGetsIt(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "integrations.yaml")
	if err := os.WriteFile(file, []byte("integrations:\n- name: lobby\n  site: default\n  fallbacks: {bad_reply: {decision: accept, adminNote: fallback}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	if err := os.MkdirAll(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "lobby"), []byte(testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := runServe(t, "NATS_URL="+server.URL(), "INTEGRATIONS_FILE="+file, "KEYS_DIR="+keys).ready()
	p.webhook = strings.Replace(p.webhook, "/default", "/lobby", 1)
	decider := server.Connect()
	var reply atomic.Pointer[nats.Msg]
	if _, err := decider.Subscribe("visitors.v1.ask.default.default", func(m *nats.Msg) {
		r := reply.Load()
		m.RespondMsg(&nats.Msg{Data: r.Data, Header: r.Header})
	}); err != nil {
		t.Fatal(err)
	}
	if err := decider.Flush(); err != nil {
		t.Fatal(err)
	}
	const fallback = `{"adminNotes":"fallback","code":"SUCCESS"}`
	for _, c := range []struct{ name, reply, want string }{
		{"an acceptance", `{"decision":"accept","visitorText":"Hi","pass":{"zone":"B"}}`, `{"code":"SUCCESS","visitorNotes":"Hi","zone":"B"}`},
		{"two names that differ in case only", `{"decision":"accept","pass":{"CODE":"REJECTED","Code":1}}`, fallback},
		{"names of the template in other letters", `{"decision":"accept","pass":{"CODE":"REJECTED","adminnotes":"x","zone":"B"}}`, `{"code":"SUCCESS","zone":"B"}`},
		{"no UTF-8", "{\"decision\":\"accept\",\"visitorText\":\"\xff\"}", fallback},
		{"too deep", `{"decision":"accept","pass":{"a":` + strings.Repeat("[", 30) + strings.Repeat("]", 30) + `}}`, fallback},
		{"too large", `{"decision":"accept","pass":{"a":"` + strings.Repeat("x", 20<<10) + `"}}`, fallback},
		{"a name twice", `{"decision":"accept","pass":{"a":{"b":1,"b":2}}}`, fallback},
		{"what a screen would obey", `{"decision":"accept","visitorText":"a\u001b[2J\u202eb\nc","pass":{"zone":"\u0000B"}}`, `{"code":"SUCCESS","visitorNotes":"a[2Jb\nc","zone":"B"}`},
		{"half a surrogate pair", `{"decision":"accept","pass":{"zone":"\ud800"}}`, `{"code":"SUCCESS","zone":"` + "\ufffd" + `"}`},
		{"a rejection", `{"decision":"reject","visitorText":"No"}`, `{"code":"REJECTED","message":"No","visitorNotes":"No"}`},
		{"a rejection with a text of another type", `{"decision":"reject","visitorText":[],"adminNote":"n"}`, `"code":"REJECTED","message":"Please see reception.`},
		{"a rejection with a blank text", `{"decision":"reject","visitorText":" "}`, `"code":"REJECTED","message":"Please see reception.`},
		{"a rejection that is no UTF-8", "{\"decision\":\"reject\",\"adminNote\":\"\xff\",\"visitorText\":\"No\"}", `"code":"REJECTED","message":"No"`},
		{"a rejection beside an acceptance", `{"decision":"accept","Decision":"reject","visitorText":"No"}`, `"code":"REJECTED","message":"No"`},
		{"a rejection that is too large", `{"decision":"reject","visitorText":"No","pass":{"a":"` + strings.Repeat("x", 200<<10) + `"}}`, `"code":"REJECTED","message":"No"`},
		{"half a rejection", `{"decision":"reject","visitorText":"No"`, `"code":"REJECTED","message":"No"`},
	} {
		reply.Store(&nats.Msg{Data: []byte(c.reply)})
		code, body, err := p.post(webhook("signin_before", noon, "Ada"))
		if err != nil || code != http.StatusOK || !strings.Contains(body, c.want) || !json.Valid([]byte(body)) {
			t.Errorf("%s: answered %d %s %v, want %s", c.name, code, body, err, c.want)
		}
	}
	failed := nats.Header{"Nats-Service-Error-Code": {"500"}}
	reply.Store(&nats.Msg{Data: []byte(`{"decision":"reject","visitorText":"No"}`), Header: failed})
	p.must(200, `"code":"REJECTED","message":"No"`, webhook("signin_before", noon, "Ada"))
	reply.Store(&nats.Msg{Data: []byte(`{"decision":"accept","visitorText":"Hi"}`), Header: failed})
	p.must(200, fallback, webhook("signin_before", noon, "Ada"))
}
