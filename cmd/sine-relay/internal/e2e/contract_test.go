package e2e

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/schematest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
)

var contractSchemas = sync.OnceValues(func() (*schematest.Schemas, error) { return schematest.Compile(contract.Files()) })

// validate judges a message of a relay, by the part of the tree that its subject is in,
// and returns what it is. Tests also store messages that are not a relay's: those lack an
// id of every relay's.
func validate(subject string, header map[string][]string, data []byte) (string, error) {
	schemas, err := contractSchemas()
	if err != nil {
		return "", err
	}
	name := ""
	for root, of := range map[visit.Root]string{visit.RootAsk: "check-in-request", visit.RootEvent: "event", visit.RootDecision: "decision-record", visit.RootQuarantine: "quarantined"} {
		if strings.Contains(subject, ".v1."+string(root)+".") {
			name = of
		}
	}
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

// judged has the ids of the check-in requests that were judged.
var judged sync.Map

// validateAsked judges each check-in request that is sent to a server of a test, whoever
// decides, and whether anybody does. What is stored is judged at the end.
func validateAsked(subject string, header, data []byte) error {
	if !strings.Contains(subject, ".v1."+string(visit.RootAsk)+".") {
		return nil
	}
	h, err := nats.DecodeHeadersMsg(header)
	if err != nil {
		return fmt.Errorf("%s: %w", subject, err)
	}
	name, err := validate(subject, h, data)
	if name != "" {
		judged.Store(h.Get(visit.HeaderRequestID), true)
	}
	return err
}

// validated is how many messages of a stream are judged at the end of a test: some tests
// store tens of thousands of the same.
const validated = 200

// validateStored judges what a server has in its streams, as far as a user of it may
// read them, and counts by what it is.
func validateStored(t testing.TB, s *natstest.Server) map[string]int {
	counts := map[string]int{}
	nc := connectedAny(s)
	if nc == nil {
		return counts
	}
	defer nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Error(err)
		return counts
	}
	streams := js.ListStreams(ctx)
	for info := range streams.Info() {
		if err := validateStream(ctx, js, info, counts); err != nil {
			t.Errorf("the stream %s has what is not as the contract says: %v", info.Config.Name, err)
		}
	}
	return counts
}

func validateStream(ctx context.Context, js jetstream.JetStream, info *jetstream.StreamInfo, counts map[string]int) error {
	stream, err := js.Stream(ctx, info.Config.Name)
	if err != nil {
		return nil // it was deleted
	}
	for seq := info.State.FirstSeq; seq <= info.State.LastSeq && seq < info.State.FirstSeq+validated; seq++ {
		m, err := stream.GetMsg(ctx, seq)
		if err != nil {
			continue // it was deleted
		}
		name, err := validate(m.Subject, m.Header, m.Data)
		if err != nil {
			return err
		}
		counts[name]++
	}
	return nil
}

// connectedAny is a connection of a user without limits, or nil where there is none.
func connectedAny(s *natstest.Server) *nats.Conn {
	users := [][]nats.Option{nil}
	for _, u := range s.Users() {
		if u.Permissions == nil {
			users = append(users, []nats.Option{nats.UserInfo(u.Username, u.Password)})
		}
	}
	for _, options := range users {
		if nc, err := nats.Connect(s.URL(), options...); err == nil {
			return nc
		}
	}
	return nil
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
	if _, was := judged.Load(request.Header.Get(visit.HeaderRequestID)); !was {
		t.Error("the request was not judged when it was sent")
	}
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
	var counts map[string]int
	eventually(t, "the records are stored", func() bool {
		counts = validateStored(t, server)
		return counts["decision-record"] >= 2 || t.Failed()
	})
	if counts["event"] != 3 || counts["quarantined"] != 1 {
		t.Errorf("judged were %v", counts)
	}
	wantOrders(t, js, 2, 1)
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
