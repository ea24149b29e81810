package e2e

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// markedVisitor is one whose every datum can be recognised, with subjects and
// headers to break out into. Sine's own ids are left out: they are meant to be
// carried.
const markedVisitor = `{"event":"signin_before","date":"2026-11-18T21:42:31Z ZmarkDate","data":{"firstName":"ZmarkFirst.>","lastName":"ZmarkLast\r\nNats-Rollup: all",` +
	`"email":"zmark@example.com","mobile":"ZmarkMobile","company":"ZmarkCompany","photoURL":"https://zmark.example/","passType":"ZmarkType","status":"ZmarkStatus",` +
	`"site":"ZmarkSite","host":{"firstName":"ZmarkHost","lastName":"ZmarkHostLast","hostGroupName":"ZmarkGroup"},` +
	`"formResponses":{"responses":[{"label":"ZmarkLabel","value":"ZmarkAnswer"}]}}}`

// markedDecision is a decision that says everything it can about the visitor.
const markedDecision = `{"decision":%q,"visitorText":"ZmarkText","adminNote":"ZmarkNote","decider":"ZmarkDecider","version":"ZmarkVersion 1",` +
	`"pass":{"ZmarkField":"ZmarkValue"},"ZmarkUnknown":"Zmark"}`

// markedReplies are those of deciders by their names; one without does not reply.
var markedReplies = map[string]*nats.Msg{
	"accepting": {Data: fmt.Appendf(nil, markedDecision, "accept")},
	"rejecting": {Data: fmt.Appendf(nil, markedDecision, "reject")},
	"perhaps":   {Data: fmt.Appendf(nil, markedDecision, "Zmark")},
	"mistyped":  {Data: []byte(`{"decision":"accept","pass":{"Zmark":"Zmark"},"visitorText":["Zmark"]}`)},
	"prose":     {Data: []byte("Zmark may come in")},
	"failing":   {Header: nats.Header{"Nats-Service-Error-Code": {"Zmark"}, "Nats-Service-Error": {"Zmark is not on the list"}}},
	"headed":    {Header: nats.Header{"Zmark": {"Zmark"}, "Status": {"503 Zmark"}}, Data: []byte("Zmark")},
	"silent":    nil,
}

// marker is in everything that is about a visitor, in whatever case.
const marker = "zmark"

// markedRelay is a relay before which marked visitors come in every situation.
type markedRelay struct {
	*program
	nats     *natstest.Server
	environ  []string // of the operator's commands
	spool    string
	held     *fakeDecider
	asked    logtest.Buffer // what is around the questions
	visitors []response     // whose answers are recorded
	records  map[string]record
}

func startMarked(t *testing.T) *markedRelay {
	t.Helper()
	d := &markedRelay{nats: natsDenying(t, "visitors.v1.ask.hq.forbidden"), spool: t.TempDir()}
	integrations := []fields{
		{"name": "unasked", "deciders": []fields{{"name": "accepting", "condition": `company == "another"`}}},
		{"name": "untold", "deciders": []fields{{"name": "accepting", "condition": `answers["not there"] == company`}}},
		{"name": "several", "combine": "any", "deciders": []fields{{"name": "prose"}, {"name": "rejecting"}, {"name": "accepting", "shadow": true}}},
	}
	for _, name := range []string{"nobody", "forbidden", "held"} {
		integrations = append(integrations, fields{"name": name, "decider": name})
	}
	for name, reply := range markedReplies {
		integrations = append(integrations, fields{"name": name, "decider": name})
		d.decide(t, name, reply)
	}
	for _, i := range integrations {
		i["site"], i["decisionBudget"], i["capture"] = "hq", "5s", fields{"deliveries": 100, "until": "2099-01-01T00:00:00Z"}
		if i["name"] == "silent" {
			i["decisionBudget"] = "100ms"
		}
	}
	settings := slices.Concat(integrationsOf(t, integrations), asRelay(d.nats), []string{"SPOOL_DIR=" + d.spool, "NATS_SYNC_INTERVAL=200ms", "LOG_LEVEL=debug", "MAX_CHECK_IN_REQUESTS=1"})
	d.environ = environment(settings...)
	d.program = runIntegrations(t, settings)
	d.held = newFakeDecider(t, d.nats, "visitors.v1.ask.hq.held", asTeam)
	return d
}

// decide is a decider that always replies the same, and notes what is around its
// questions.
func (d *markedRelay) decide(t *testing.T, name string, reply *nats.Msg) {
	t.Helper()
	nc := d.nats.Connect(asTeam)
	_, err := nc.Subscribe("visitors.v1.ask.hq."+name, func(m *nats.Msg) {
		fmt.Fprintln(&d.asked, m.Subject, m.Header)
		if reply != nil {
			m.RespondMsg(&nats.Msg{Header: reply.Header, Data: reply.Data})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func (d *markedRelay) come(path string) response {
	got := d.visitor(path, markedVisitor)
	d.visitors = append(d.visitors, got)
	return got
}

// comeInEverySituation ends with NATS away.
func (d *markedRelay) comeInEverySituation() {
	for _, name := range append(slices.Sorted(maps.Keys(markedReplies)), "unasked", "untold", "several", "nobody", "forbidden") {
		d.come(name)
	}
	d.visitors = append(d.visitors, d.visitor("nobody/check-in-request", markedVisitor[:len(markedVisitor)-1]))
	d.visitors = append(d.visitors, d.visitor("nobody", markedVisitor[:len(markedVisitor)-1])) // may be a visitor
	d.visitors = append(d.visitors, d.visitor("nobody", strings.Replace(markedVisitor, `"data":`, `"person":`, 1)))
	waiting := make(chan response)
	go func() { waiting <- d.visitor("held", markedVisitor) }()
	question := d.held.take(d.t, 1)[0]
	d.come("accepting") // there is no place
	question.RespondMsg(markedReplies["accepting"])
	d.visitors = append(d.visitors, <-waiting)
	d.nats.Stop()
	d.come("accepting")
}

// traces are everything that the visitors left behind, by where it is.
func (d *markedRelay) traces() map[string]string {
	d.t.Helper()
	_, metrics := d.get("/metrics")
	_, readiness := d.get("/readyz?verbose")
	all := map[string]string{"what is around the questions": d.asked.String(), "metrics": metrics, "readiness": readiness}
	for id, r := range d.records {
		all["record "+id] = fmt.Sprint(r.message.Subject, r.message.Header, string(r.message.Data))
	}
	for _, v := range d.visitors {
		all["explain "+v.id] = must(d.t, d.environ, v.id, "explain", visit.Reference(v.id))
	}
	for _, command := range []string{"deciders", "orders"} {
		_, out, errOut := commandLine(d.environ, command)
		all[command] = out + errOut
	}
	eventually(d.t, "what NATS had not synced is deleted", func() bool {
		left, err := filepath.Glob(filepath.Join(d.spool, "window", "*", "*.log"))
		return err == nil && len(left) == 0
	})
	d.end()
	all["log"] = d.out.String() + d.err.String()
	all["spool"] = everyFile(d.t, d.spool)
	return all
}

// everyFile is the content of all files in a directory.
func everyFile(t *testing.T, dir string) string {
	t.Helper()
	var all strings.Builder
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(filepath.Join(dir, path))
		all.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestPrivacy_NoPersonalDataLeavesTheCheckIn(t *testing.T) {
	t.Parallel()
	d := startMarked(t)
	d.comeInEverySituation()
	if got := d.visitors[0]; !strings.Contains(got.body, "ZmarkText") {
		t.Errorf("a decider's text is for the visitor, who was answered %s", got.body)
	}
	d.nats.Restart()
	d.records = records(t, d.nats.JetStream(asTeam), len(d.visitors))
	met := map[string]bool{}
	for _, r := range d.records {
		met[r.Situation] = true
	}
	for _, s := range append(situations, "decided") {
		if !met[s] {
			t.Errorf("nobody came in the situation %s", s)
		}
	}
	for where, text := range d.traces() {
		if at := strings.Index(strings.ToLower(text), marker); at >= 0 {
			t.Errorf("%s: something personal leaked: …%q…", where, text[max(0, at-100):min(len(text), at+100)])
		}
		if text == "" {
			t.Errorf("%s: nothing is there to look at", where)
		}
	}
}

// Whoever knows a reply subject may answer for somebody else: it is in no log, metric,
// answer, record or stream, whatever comes over it.
func TestPrivacy_ReplySubjectsAreNeverDisclosed(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	tokens := hearReplies(t, server)
	p := runServe(t, "NATS_URL="+server.URL(), "LOG_LEVEL=debug", "DECISION_BUDGET=1s").ready()
	nc := server.Connect()
	answer := make(chan []string, 1)
	_, err := nc.Subscribe("visitors.v1.ask.default.default", func(m *nats.Msg) {
		for _, reply := range <-answer {
			if reply == "late" {
				time.Sleep(1500 * time.Millisecond)
				reply = `{"decision":"accept"}`
			}
			if reply == "error" {
				_ = m.RespondMsg(&nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {m.Reply}, "Nats-Service-Error": {m.Reply}}, Data: []byte(m.Reply)})
				continue
			}
			_ = m.Respond([]byte(strings.ReplaceAll(reply, "REPLY", m.Reply)))
		}
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	for _, replies := range [][]string{
		{`{"decision":"accept"}`}, {`{"decision":"reject"}`, `{"decision":"accept"}`}, {"not JSON REPLY"}, {`{"decision":"REPLY"}`},
		{`{"decision":1,"x":"REPLY"}`}, {"error"}, {"late"}, {`{"stream":"REPLY","seq":1}`}, {""},
	} {
		answer <- replies
		p.post(webhook("signin_before", noon, "Ada"))
	}
	p.must(200, "", webhook("signin_after", noon, "Ada"))
	p.post("unreadable")
	eventually(t, "all is stored", func() bool {
		for stream, n := range map[string]uint64{visit.DefaultEventStream: 1, visit.DefaultDecisionStream: 9, visit.DefaultQuarantineStream: 1} {
			found, err := server.JetStream().Stream(t.Context(), stream)
			if err != nil || found.CachedInfo().State.Msgs < n {
				return false
			}
		}
		return true
	})
	stats, err := nc.Request("$SRV.STATS.sine-relay", nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	_, metrics := p.get("/metrics")
	_, readiness := p.get("/readyz?verbose")
	places := map[string]string{
		"the log": p.out.String() + p.err.String(), "the metrics": metrics, "the readiness": readiness, "the status": string(stats.Data),
	}
	for _, stream := range []string{visit.DefaultEventStream, visit.DefaultDecisionStream, visit.DefaultQuarantineStream} {
		places[stream] = contents(t, server, stream)
	}
	found := tokens()
	if len(found) < 20 {
		t.Fatalf("only %d reply subjects were seen", len(found))
	}
	for place, text := range places {
		for _, token := range found {
			if strings.Contains(text, token) {
				t.Errorf("%s has a part of a reply subject, %s:\n%.2000s", place, token, text)
				break
			}
		}
	}
}

// hearReplies collects the parts of the relay's reply subjects that are chance.
func hearReplies(t *testing.T, server *natstest.Server) (tokens func() []string) {
	t.Helper()
	var mu sync.Mutex
	seen := map[string]bool{}
	nc := server.Connect()
	_, err := nc.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		for _, subject := range []string{m.Subject, m.Reply} {
			if rest, ok := strings.CutPrefix(subject, "_INBOX_SINE_RELAY."); ok {
				for part := range strings.SplitSeq(rest, ".") {
					seen[part] = len(part) > 15
				}
			}
		}
	})
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	return func() (all []string) {
		mu.Lock()
		defer mu.Unlock()
		for part, chance := range seen {
			if chance {
				all = append(all, part)
			}
		}
		return all
	}
}

// contents is everything that a stream has, headers included.
func contents(t *testing.T, server *natstest.Server, name string) string {
	t.Helper()
	stream, err := server.JetStream().Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for sequence := range stream.CachedInfo().State.LastSeq {
		if m, err := stream.GetMsg(t.Context(), sequence+1); err == nil {
			fmt.Fprintln(&all, m.Subject, m.Header, string(m.Data))
		}
	}
	return all.String()
}
