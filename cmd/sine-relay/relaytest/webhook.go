package relaytest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"slices"

	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

// Response is what Sine gets.
type Response struct {
	Status int
	Body   []byte
	// RequestID is the id of the webhook.
	RequestID string
	// Record says how a check-in request was decided, and why. It is empty for an event.
	Record visit.Record
}

// CheckIn sends the check-in request of a visitor, to the integration of that name, and
// returns the response when the record of the decision is known, too. The visit must have
// the integration's time zone: a decider would see another hour than the test says.
func (r *Relay) CheckIn(v subscribertest.Visit) Response {
	r.t.Helper()
	r.sameZone(v)
	response := r.Post(v.Integration, v.Body(visit.KindCheckInRequest))
	wait.Until(r.t, "the decision is recorded", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		record, found := r.records[response.RequestID]
		response.Record = record
		return found
	})
	return response
}

// CheckedIn sends the event of the check-in, which must be stored. Its visit, too, must
// have the integration's time zone.
func (r *Relay) CheckedIn(v subscribertest.Visit) Response {
	r.t.Helper()
	return r.stored(v, visit.KindCheckedIn)
}

// CheckedOut is the same for the check-out.
func (r *Relay) CheckedOut(v subscribertest.Visit) Response {
	r.t.Helper()
	return r.stored(v, visit.KindCheckedOut)
}

func (r *Relay) stored(v subscribertest.Visit, k visit.Kind) Response {
	r.t.Helper()
	r.sameZone(v)
	response := r.Post(v.Integration, v.Body(k))
	if response.Status != http.StatusOK {
		r.t.Fatalf("%s was answered %d %s", k, response.Status, response.Body)
	}
	return response
}

// sameZone fails the test of a visit in another time zone than its integration.
func (r *Relay) sameZone(v subscribertest.Visit) {
	r.t.Helper()
	for _, in := range r.settings.Integrations {
		if zone := cmp.Or(v.TimeZone, "UTC"); in.Name == v.Integration && in.Zone.String() != zone {
			r.t.Fatalf("the visit is in the time zone %s, the integration %q in %s: set the field TimeZone of the visit, before At, or timeZone of the integration", zone, in.Name, in.Zone)
		}
	}
}

// Post sends a body to an integration, as Sine does.
func (r *Relay) Post(integration string, body []byte) Response {
	r.t.Helper()
	if names, _ := r.settings.Names(); !slices.Contains(names, integration) {
		r.t.Fatalf("the relay has no integration %q, it has %q: set the field Integration of the visit", integration, names)
	}
	req, err := http.NewRequest(http.MethodPost, r.URL(integration), bytes.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("x-sine-auth", r.key)
	req.Header.Set("Content-Type", visit.ContentJSON)
	answer, err := r.client.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return Response{Status: answer.StatusCode, Body: text, RequestID: answer.Header.Get(visit.HeaderRequestID)}
}

// URL is where Sine calls an integration.
func (r *Relay) URL(integration string) string {
	return "http://" + r.server.PublicAddr().String() + "/sine/" + integration
}

// AdminURL is where metrics and readiness are.
func (r *Relay) AdminURL() string { return "http://" + r.server.AdminAddr().String() }

// keep keeps a record that is about to be stored.
func (r *Relay) keep(data []byte) {
	var record visit.Record
	if json.Unmarshal(data, &record) != nil {
		return // the relay has made it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records[record.RequestID] = record
}
