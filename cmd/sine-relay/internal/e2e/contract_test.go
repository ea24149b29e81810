package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/schematest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
)

var contractSchemas = sync.OnceValues(func() (*schematest.Schemas, error) { return schematest.Compile(contract.Files()) })

// schemaOf is what the messages of a part of the tree are.
var schemaOf = map[visit.Root]string{visit.RootAsk: "check-in-request", visit.RootEvent: "event", visit.RootDecision: "decision-record", visit.RootQuarantine: "quarantined"}

// rootOf is the part of the tree that a subject is in, of those in schemaOf, or empty.
func rootOf(subject string) visit.Root {
	for root := range schemaOf {
		if strings.Contains(subject, ".v1."+string(root)+".") {
			return root
		}
	}
	return ""
}

// validate judges a message of a relay, by the part of the tree that its subject is in,
// and returns what it is. Tests also store messages that are not a relay's: those lack an
// id of every relay's.
func validate(subject string, header map[string][]string, data []byte) (string, error) {
	schemas, err := contractSchemas()
	if err != nil {
		return "", err
	}
	name := schemaOf[rootOf(subject)]
	if name == "" || header[visit.HeaderRequestID] == nil || name != "check-in-request" && header[visit.HeaderMsgID] == nil {
		return "", nil
	}
	own := maps.Clone(header)
	maps.DeleteFunc(own, func(h string, _ []string) bool { return strings.HasPrefix(h, "Nats-") && h != visit.HeaderMsgID }) // the server's
	if err := schemas.ValidateMessage(name, own, data); err != nil {
		return name, fmt.Errorf("%s: %w", subject, err)
	}
	if (name == "event" || name == "decision-record") && own[visit.HeaderDataSchema] == nil {
		return name, fmt.Errorf("%s: the header %s is missing", subject, visit.HeaderDataSchema)
	}
	return name, nil
}

// judgedOfEach is how many messages of a kind each server has judged: some tests send tens
// of thousands of the same.
const judgedOfEach = 200

// judged are the messages that were, by kind and the id of the request that they belong to.
var judged sync.Map

// newJudge judges what is sent to one server, whoever decides, and whether anybody does.
func newJudge() natstest.Judge {
	var mu sync.Mutex
	counts := map[visit.Root]int{}
	isFirst := func(root visit.Root) bool {
		mu.Lock()
		defer mu.Unlock()
		counts[root]++
		return counts[root] <= judgedOfEach
	}
	return func(subject string, header, data []byte) error {
		if root := rootOf(subject); root == "" || !isFirst(root) {
			return nil
		}
		h, err := nats.DecodeHeadersMsg(header)
		if err != nil {
			return fmt.Errorf("%s: %w", subject, err)
		}
		name, err := validate(subject, h, data)
		if name != "" {
			judged.Store(name+" "+h.Get(visit.HeaderRequestID), true)
		}
		return err
	}
}

// embeddedTracers are those of the embedded servers, which outlive no test.
var embeddedTracers struct {
	sync.Mutex
	all []*natstest.Tracer
}

// judgeMessages has all that is sent to a NATS server in this process judged. What it
// returns says what was wrong on the embedded ones: which test has them is not known.
func judgeMessages() func() error {
	natstest.NewJudge = newJudge
	embedded.Trace = func(l server.Logger) server.Logger {
		tracer := natstest.NewTracer(l, newJudge())
		embeddedTracers.Lock()
		defer embeddedTracers.Unlock()
		embeddedTracers.all = append(embeddedTracers.all, tracer)
		return tracer
	}
	return func() error {
		embeddedTracers.Lock()
		defer embeddedTracers.Unlock()
		var failed []error
		for _, tracer := range embeddedTracers.all {
			failed = append(failed, tracer.Failed()...)
		}
		return errors.Join(failed[:min(len(failed), 5)]...)
	}
}

// Every kind of message that a relay sends is what the contract says, and so are the
// orders of its commands.
func TestContract_EveryMessageIsAsItsSchemaSays(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	decider := newFakeDecider(t, server, "visitors.v1.ask.default.default")
	p := runServe(t, "NATS_URL="+server.URL()).ready()
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)

	answered := make(chan string)
	go func() {
		_, text, err := p.post(webhook("signin_before", noon, "Ada"))
		answered <- fmt.Sprint(text, err)
	}()
	request := decider.take(t, 1)[0]
	if name, err := validate(request.Subject, request.Header, request.Data); name != "check-in-request" || err != nil {
		t.Errorf("%s: %v", name, err)
	}
	wantJudged(t, "check-in-request", request.Header)
	for _, reply := range contract.Examples("decision") {
		if reply.Name == "accept" {
			request.Respond(reply.Payload)
		}
	}
	if text := <-answered; !strings.Contains(text, "Welcome, Ada.") {
		t.Errorf("the decision of the examples was answered %s", text)
	}

	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	p.must(200, "eventId", `{"event":"signout_after","date":1795000000000,"data":{"id":"ä b","firstName":"Ada","status":"expired","host":{"hostGroupName":"Planning"},"formResponses":{"responses":[{"label":"Why?","value":7}]}}}`)
	p.must(200, "eventId", `{"event":"signin_after","data":{}}`)
	p.must(200, "REJECTED", "no JSON")
	must(t, environ, "", "lockdown", "--site", "default", "--message", "Closed.")
	eventually(t, "the lockdown is obeyed", func() bool {
		_, text, err := p.post(webhook("signin_before", noon, "Ada"))
		return err == nil && strings.Contains(text, "Closed.")
	})
	must(t, environ, "", "lockdown", "lift", "--site", "default")
	must(t, environ, "", "override", "--site", "default", "--accept", "--for", "1h", "--reason", "A test.")

	js := server.JetStream()
	eventually(t, "the records are stored", func() bool {
		counts := validateStored(t, js)
		return counts["decision-record"] >= 2 && counts["event"] == 3 && counts["quarantined"] == 1 || t.Failed()
	})
	wantOrders(t, js, 2, 1)
}

// validateStored judges what is in the streams, as it was when it was sent, and counts by
// what it is.
func validateStored(t *testing.T, js jetstream.JetStream) map[string]int {
	t.Helper()
	counts := map[string]int{}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		stream, err := js.Stream(ctx, info.Config.Name)
		if err != nil {
			t.Fatal(err)
		}
		for seq := info.State.FirstSeq; seq <= info.State.LastSeq; seq++ {
			m, err := stream.GetMsg(ctx, seq)
			if err != nil {
				continue // it was deleted
			}
			name, err := validate(m.Subject, m.Header, m.Data)
			if err != nil {
				t.Error(err)
			}
			if name != "" {
				wantJudged(t, name, m.Header)
			}
			counts[name]++
		}
	}
	return counts
}

func wantJudged(t *testing.T, name string, header nats.Header) {
	t.Helper()
	if _, was := judged.Load(name + " " + header.Get(visit.HeaderRequestID)); !was {
		t.Errorf("the %s was not judged when it was sent", name)
	}
}

// wantOrders judges what is and was in the bucket of standing orders.
func wantOrders(t *testing.T, js jetstream.JetStream, orders, lifts int) {
	t.Helper()
	schemas, err := contractSchemas()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	bucket, err := js.KeyValue(ctx, visit.DefaultOrderBucket)
	if err != nil {
		t.Fatal(err)
	}
	all, err := bucket.WatchAll(ctx, jetstream.IncludeHistory())
	if err != nil {
		t.Fatal(err)
	}
	defer all.Stop()
	counts := map[string]int{}
	for entry := range all.Updates() {
		if entry == nil {
			break // that was all
		}
		name := "order"
		if strings.Contains(string(entry.Value()), `"lifts"`) {
			name = "lift"
		}
		counts[name]++
		if err := schemas.Validate(name, entry.Value()); err != nil {
			t.Errorf("%s: %v", entry.Key(), err)
		}
	}
	if counts["order"] != orders || counts["lift"] != lifts {
		t.Errorf("judged were %v", counts)
	}
}

// The program has the contract that it serves and prints.
func TestContract_IsServedByTheAdminListener(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	settings := []string{"NATS_URL=" + server.URL(), "SUBJECT_PREFIX=acme.doors"}
	p := runServe(t, settings...).ready()
	printed := must(t, environment(settings...), "", "contract", "asyncapi")
	if code, text := p.get("/contract/asyncapi.json"); code != http.StatusOK || text != printed || !strings.Contains(text, "acme.doors.v1.event.") {
		t.Errorf("answered %d, and sine-relay contract asyncapi prints another document", code)
	}
	if code, text := p.get("/contract/v1/event.schema.json"); code != http.StatusOK || !strings.Contains(text, visit.EventSchema) {
		t.Errorf("answered %d %s", code, text)
	}
}
