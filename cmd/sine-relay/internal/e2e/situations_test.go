package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// situations are those that have a fallback.
var situations = []string{"no_decider", "timeout", "disconnected", "denied", "bad_reply", "overloaded", "unreadable", "incomplete", "unasked"}

// cause is one way to come into a situation.
type cause struct {
	name, situation string
	// reply is what the decider says, if there is one and it says something.
	reply *nats.Msg
	// outcome is what the metric calls it, where that is not the situation.
	outcome string
	// unpinned calls name no event: nobody can tell that a visitor asked, and the
	// metric does not say so.
	unpinned bool
	// around sends the visitors while something happens to the situationsRelay.
	around func(d *situationsRelay, send func())
}

var causes = []cause{
	{name: "nobody_listens", situation: "no_decider"},
	{name: "silence", situation: "timeout", around: (*situationsRelay).inSilence},
	{name: "no_permission", situation: "denied"},
	{name: "prose", situation: "bad_reply", reply: &nats.Msg{Data: []byte("Let them in")}},
	{name: "an_acknowledgement", situation: "timeout", reply: &nats.Msg{Data: []byte(`{"stream":"VISITORS","seq":7}`)}},
	{name: "an_empty_reply", situation: "bad_reply", reply: &nats.Msg{}},
	{name: "an_unknown_verdict", situation: "bad_reply", reply: &nats.Msg{Data: []byte(`{"decision":"perhaps"}`)}},
	{name: "a_service_error", situation: "bad_reply", reply: &nats.Msg{Header: nats.Header{"Nats-Service-Error-Code": {"500"}}}},
	{name: "no_json", situation: "unreadable", outcome: "quarantined"},
	{name: "no_end", situation: "unreadable", outcome: "quarantined"},
	{name: "no_event", situation: "unreadable", outcome: "quarantined", unpinned: true},
	{name: "too_large", situation: "unreadable", outcome: "too_large"},
	{name: "no_pass", situation: "incomplete"},
	{name: "a_pass_of_nobody", situation: "incomplete"},
	{name: "no_condition_holds", situation: "unasked"},
	{name: "too_many", situation: "overloaded", around: (*situationsRelay).crowded},
	{name: "cut_off", situation: "disconnected", around: (*situationsRelay).cutOff},
	{name: "away", situation: "disconnected"},
}

// cell is one way of not having a decision and of answering then.
type cell struct {
	cause
	answer, rejectMode string
}

// cells are those of one cause.
func (c cause) cells() (all []cell) {
	for _, answer := range []string{"accept", "reject"} {
		for _, rejectMode := range []string{"code", "status"} {
			all = append(all, cell{c, answer, rejectMode})
		}
	}
	return all
}

func (c cell) name() string { return fmt.Sprintf("%s-%s-%s", c.cause.name, c.answer, c.rejectMode) }

// integration answers as the cell says in its situation, and the other way round
// in every other.
func (c cell) integration() fields {
	fallbacks := fields{}
	for _, s := range situations {
		fallbacks[s] = fields{"decision": c.in(s), "visitorText": c.text(s), "adminNote": "Staff: " + c.text(s)}
	}
	asked := fields{"name": c.cause.name}
	if c.situation == "unasked" {
		asked["condition"] = `site == "elsewhere"`
	}
	budget := "30s" // who waits for it fails the test
	if c.situation == "timeout" {
		budget = "200ms"
	}
	return fields{
		"name": c.name(), "site": "hq", "deciders": []fields{asked}, "decisionBudget": budget,
		"rejectMode": c.rejectMode, "fallbacks": fallbacks, "responses": responseTemplates,
	}
}

// in is how a situation is answered.
func (c cell) in(situation string) string {
	if (situation == c.situation) == (c.answer == "accept") {
		return "accept"
	}
	return "reject"
}

func (c cell) text(situation string) string {
	return fmt.Sprintf("%s for %s at %s. {ref}", c.in(situation), situation, c.name())
}

// request is how the visitor comes.
func (c cell) request() (path, body string) {
	path, body = c.name(), webhook("signin_before", noon, "Ada")
	switch c.cause.name {
	case "no_end":
		body = body[:len(body)-1]
	case "no_event":
		body = webhook("coffee_break", noon, "Ada")
	case "no_json":
		path, body = path+"/check-in-request", body[:len(body)-1]
	case "no_pass":
		body = `{"event":"signin_before","data":null}`
	case "a_pass_of_nobody":
		body = webhook("signin_before", noon, " ")
	case "too_large":
		path, body = path+"/check-in-request", strings.Repeat(" ", 9<<10)+body
	}
	return path, body
}

// sample is the line of the metric that counts the cell's visitor.
func (c cell) sample() string {
	event := "check_in_request"
	if c.unpinned {
		event = "unknown"
	}
	return fmt.Sprintf(`integration=%q,kind=%q,result=%q`, c.name(), event, cmp.Or(c.outcome, c.situation))
}

func (c cell) checkAnswer(t *testing.T, got response) {
	t.Helper()
	status, ref := http.StatusOK, visit.Reference(got.id)
	text := strings.ReplaceAll(c.text(c.situation), "{ref}", ref)
	body := fields{"code": "SUCCESS", "visitor": text, "admin": "Staff: " + text, "ref": ref}
	if c.answer == "reject" {
		body = fields{"code": "REJECTED", "message": text, "staff": "Staff: " + text, "reference": ref}
	}
	if c.answer == "reject" && c.rejectMode == "status" {
		status = http.StatusForbidden
	}
	if got.status != status || !sameJSON(t, got.body, body) {
		t.Errorf("%s: answered %d %s, want %d %s", c.name(), got.status, got.body, status, inJSON(t, body))
	}
}

func (c cell) checkRecord(t *testing.T, rec record) {
	t.Helper()
	subject := "visitors.v1.decision.hq." + c.answer + "ed"
	if rec.Integration != c.name() || rec.Situation != c.situation || string(rec.Verdict) != c.answer || !rec.Fallback || rec.message.Subject != subject {
		t.Errorf("%s: the record on %s: %+v", c.name(), rec.message.Subject, rec.Record)
	}
}

// Every situation is caused, for every fallback and every way of rejecting.
func TestSituations_EachFollowsItsFallbackAndRejectMode(t *testing.T) {
	t.Parallel()
	d := startSituations(t)
	samples := map[string]float64{}
	for i := range places {
		samples[fmt.Sprintf(`integration=%q,kind="check_in_request",result="accepted"`, busy(i))] = 1
	}
	var recorded []cell
	for _, c := range causes {
		d.let(c)
		for _, one := range c.cells() {
			samples[one.sample()] = 1
			one.checkAnswer(t, d.responses[one.name()])
			recorded = append(recorded, one)
		}
	}
	if got := d.counted("sine_relay_webhooks_total"); !maps.Equal(got, samples) {
		for labels, n := range got {
			if n != samples[labels] {
				t.Errorf("%v are counted with %s, want %v", n, labels, samples[labels])
			}
		}
		t.Errorf("%d outcomes are counted, want %d", len(got), len(samples))
	}
	d.nats.Restart()
	stored := records(t, d.nats.JetStream(asTeam), len(recorded)+places)
	for _, one := range recorded {
		one.checkRecord(t, stored[d.responses[one.name()].id])
	}
}

// places is how many visitors may wait at once.
const places = 4

// situationsRelay is a relay with an integration for every cell and one more, that can be
// kept busy.
type situationsRelay struct {
	*program
	nats *natstest.Server
	// responses are those of the cells, by the cell's name.
	responses map[string]response
}

func startSituations(t *testing.T) *situationsRelay {
	t.Helper()
	nats := natsDenying(t, askFor("no_permission"))
	var integrations []fields
	for i := range places {
		integrations = append(integrations, fields{"name": busy(i), "site": "hq", "decider": "busy", "decisionBudget": "30s"})
	}
	for _, c := range causes {
		for _, one := range c.cells() {
			integrations = append(integrations, one.integration())
		}
		if c.reply != nil {
			alwaysSay(t, nats, c)
		}
	}
	settings := append(asRelay(nats), "SPOOL_DIR="+t.TempDir(), "BODY_LIMIT=8KiB", "WRITE_TIMEOUT=60s", fmt.Sprint("MAX_CHECK_IN_REQUESTS=", places))
	p := runIntegrations(t, integrationsOf(t, integrations), settings...)
	return &situationsRelay{program: p, nats: nats, responses: map[string]response{}}
}

func askFor(decider string) string { return "visitors.v1.ask.hq." + decider }

// alwaysSay is a decider that says the same to everybody.
func alwaysSay(t *testing.T, s *natstest.Server, c cause) {
	t.Helper()
	nc := s.Connect(asTeam)
	say := func(m *nats.Msg) { m.RespondMsg(&nats.Msg{Header: c.reply.Header, Data: c.reply.Data}) }
	if _, err := nc.Subscribe(askFor(c.name), say); err != nil {
		t.Fatal(err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

// send sends the visitors of all cells of a cause at once.
func (d *situationsRelay) send(c cause) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, one := range c.cells() {
		all.Go(func() {
			answer := d.visitor(one.request())
			mu.Lock()
			defer mu.Unlock()
			d.responses[one.name()] = answer
		})
	}
	all.Wait()
}

// let has a cause happen to its visitors.
func (d *situationsRelay) let(c cause) {
	if c.around == nil {
		d.send(c)
		return
	}
	c.around(d, func() { d.send(c) })
}

// inSilence has a decider that is asked and says nothing.
func (d *situationsRelay) inSilence(send func()) {
	silent := newFakeDecider(d.t, d.nats, askFor("silence"), asTeam)
	send()
	silent.take(d.t, places)
}

// busy is one of the integrations that have a place each: none gets all of them.
func busy(i int) string { return fmt.Sprint("busy-", i) }

// crowded has other visitors in all places, who are answered in the end.
func (d *situationsRelay) crowded(send func()) {
	decider := newFakeDecider(d.t, d.nats, askFor("busy"), asTeam)
	var waiting sync.WaitGroup
	for i := range places {
		waiting.Go(func() {
			if got := d.visitor(busy(i), webhook("signin_before", noon, "Ada")); !strings.Contains(got.body, "SUCCESS") {
				d.t.Errorf("whoever had a place was answered %s", got.body)
			}
		})
	}
	requests := decider.take(d.t, places)
	send()
	for _, q := range requests {
		q.Respond([]byte(`{"decision":"accept"}`))
	}
	waiting.Wait()
}

// cutOff stops NATS once a decider has the requests.
func (d *situationsRelay) cutOff(send func()) {
	cut := newFakeDecider(d.t, d.nats, askFor("cut_off"), asTeam)
	sent := make(chan struct{})
	go func() { defer close(sent); send() }()
	cut.take(d.t, places)
	d.nats.Stop()
	<-sent
}
