package cloudevents

import (
	"context"
	"errors"
	"testing"
	"time"

	jetstreamsdk "github.com/cloudevents/sdk-go/protocol/nats_jetstream/v2"
	sdk "github.com/cloudevents/sdk-go/v2"
	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/relaytest"
	"github.com/sine-relay/sine-relay/internal/wait"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
	"github.com/sine-relay/sine-relay/visit/subscriber/subscribertest"
)

const allEvents = "visitors.v1.event.>"

// A durable consumer pulls, and the SDK reads each message. The SDK's own consumer has NATS
// push messages, which NATS does only within the account of the stream; the users of
// deploy/nats have other accounts.
func TestSDK_ReadsTheEventsOfARelay(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t)
	for _, v := range subscribertest.Visits() {
		r.CheckedIn(v)
		r.CheckedOut(v)
	}
	ctx := wait.Context(t, wait.Limit)
	consumer, err := r.JetStream(relaytest.Consumer).CreateOrUpdateConsumer(ctx, visit.DefaultEventStream, jetstream.ConsumerConfig{
		Durable: "sdk", FilterSubject: allEvents,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, stored := range r.Events() {
		pulled, err := consumer.Next(jetstream.FetchMaxWait(wait.Limit / 2))
		if err != nil {
			t.Fatal(err)
		}
		m := jetstreamsdk.NewMessage(&nats.Msg{Header: pulled.Headers(), Data: pulled.Data()})
		if m.ReadEncoding() != binding.EncodingBinary {
			t.Fatalf("the encoding is %s", m.ReadEncoding())
		}
		got, err := binding.ToEvent(ctx, m)
		if err != nil {
			t.Fatal(err)
		}
		same(t, *got, event.EventContextV1{
			ID: stored.ID, Type: visit.EventType(stored.Kind), Source: *types.ParseURIRef(visit.EventSource(stored.Site, stored.Integration)),
			Time: &sdk.Timestamp{Time: stored.Time}, DataContentType: new(visit.ContentJSON), DataSchema: types.ParseURI(visit.EventSchema),
			Subject: keyOf(stored.Visit),
		})
		var read visit.Event
		if err := got.DataAs(&read); err != nil || read.ID != stored.ID || string(read.Source) != string(stored.Source) {
			t.Errorf("read %+v, %v", read, err)
		}
		if err := pulled.Ack(); err != nil {
			t.Error(err)
		}
	}
}

// keyOf is nil where Sine names no visit.
func keyOf(k visit.VisitKey) *string {
	if k.Basis == visit.VisitKeyNone {
		return nil
	}
	return &k.Value
}

// same compares attributes, and whether the SDK takes them for valid.
func same(t *testing.T, got sdk.Event, want event.EventContextV1) {
	t.Helper()
	if err := got.Validate(); err != nil {
		t.Errorf("%s: %v", want.ID, err)
	}
	wanted := sdk.Event{Context: &want}
	for name, pair := range map[string][2]string{
		"id": {got.ID(), want.ID}, "type": {got.Type(), want.Type}, "source": {got.Source(), wanted.Source()},
		"subject": {got.Subject(), wanted.Subject()}, "time": {got.Time().UTC().String(), wanted.Time().UTC().String()},
		"dataschema": {got.DataSchema(), wanted.DataSchema()}, "datacontenttype": {got.DataContentType(), wanted.DataContentType()},
		"specversion": {got.SpecVersion(), visit.SpecVersion},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s: %s is %q, want %q", want.ID, name, pair[0], pair[1])
		}
	}
	if len(got.Extensions()) > 0 {
		t.Errorf("%s: the extensions are %v", want.ID, got.Extensions())
	}
}

func TestSDK_ReadsTheRecordOfADecision(t *testing.T) {
	t.Parallel()
	r := relaytest.Start(t)
	record := r.CheckIn(subscribertest.Visitor()).Record
	nc := r.NATS(relaytest.Operator)
	var stored *nats.Msg
	wait.Until(t, "the record is stored", func() (found bool) {
		m, err := nc.Request("$JS.API.DIRECT.GET."+visit.DefaultDecisionStream, []byte(`{"seq":1}`), wait.Limit/2)
		stored = m
		return err == nil && m.Header.Get("Status") == ""
	})
	got, err := binding.ToEvent(t.Context(), jetstreamsdk.NewMessage(stored))
	if err != nil {
		t.Fatal(err)
	}
	same(t, *got, event.EventContextV1{
		ID: record.RequestID, Type: "io.github.sine-relay.visit.decision.v1", Source: *types.ParseURIRef(visit.EventSource(record.Site, record.Integration)),
		Time: &sdk.Timestamp{Time: record.Received}, DataContentType: new(visit.ContentJSON), DataSchema: types.ParseURI(visit.RecordSchema),
	})
	var read visit.Record
	if err := got.DataAs(&read); err != nil || read.Situation != record.Situation || read.Policy != record.Policy {
		t.Errorf("read %+v, %v", read, err)
	}
}

// Header names are compared letter by letter, by NATS and by the SDK: the names in upper
// case of HTTP libraries would not do.
func TestSDK_NeedsHeaderNamesInLowerCase(t *testing.T) {
	e := subscribertest.Visitor().CheckedIn()
	m, err := e.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	upper := nats.Header{}
	for name, values := range m.Header {
		if name[:3] == "ce-" {
			name = "Ce-" + string(name[3]-'a'+'A') + name[4:]
		}
		upper[name] = values
	}
	if _, err := binding.ToEvent(t.Context(), jetstreamsdk.NewMessage(&nats.Msg{Header: m.Header, Data: m.Data})); err != nil {
		t.Error(err)
	}
	if got, err := binding.ToEvent(t.Context(), jetstreamsdk.NewMessage(&nats.Msg{Header: upper, Data: m.Data})); err == nil && got.Validate() == nil {
		t.Errorf("read %s", got)
	}
}

// The SDK acknowledges an event when it hands it over, and not when it is handled: an event
// whose handler fails is lost to this consumer. The contract's page says so.
func TestSDK_AcknowledgesBeforeAnEventIsHandled(t *testing.T) {
	t.Parallel()
	sender, _, _ := publishing(t, visit.KindCheckedIn)
	nc := sender.Conn
	for _, v := range subscribertest.Group()[:2] {
		c := cloudEvent(t, v.CheckedIn())
		if err := sender.Send(t.Context(), binding.ToMessage(&c)); err != nil {
			t.Fatal(err)
		}
	}
	consumer, err := jetstreamsdk.NewConsumerFromConn(nc, visit.DefaultEventStream, allEvents, nil, []nats.SubOpt{nats.Durable("failing"), nats.DeliverAll()})
	if err != nil {
		t.Fatal(err)
	}
	client, err := sdk.NewClient(consumer)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(wait.Context(t, wait.Limit))
	handled, ended := make(chan string, 10), make(chan error, 1)
	go func() {
		ended <- client.StartReceiver(ctx, func(e sdk.Event) error {
			handled <- e.Type()
			return errors.New("the printer is out of paper")
		})
	}()
	wait.Until(t, "both are acknowledged", func() bool {
		c, err := sender.Jsm.ConsumerInfo(visit.DefaultEventStream, "failing")
		return err == nil && len(handled) == 2 && c.NumAckPending == 0 && c.AckFloor.Consumer == 2
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// publishing is the SDK as a publisher on the subject of a kind, and a subscriber of ours.
func publishing(t *testing.T, k visit.Kind) (sender *jetstreamsdk.Sender, got chan visit.Event, failed chan error) {
	t.Helper()
	s := natstest.Start(t)
	js := s.JetStream()
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: visit.DefaultEventStream, Subjects: []string{allEvents}})
	if err != nil {
		t.Fatal(err)
	}
	if sender, err = jetstreamsdk.NewSenderFromConn(s.Connect(), visit.DefaultEventStream, visit.Subjects{}.Event("hq", k), nil); err != nil {
		t.Fatal(err)
	}
	got, failed = make(chan visit.Event, 10), make(chan error, 10)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	cfg := subscriber.EventsConfig{Durable: "badges", Site: "hq", OnError: func(err error) { failed <- err }}
	go func() {
		ended <- subscriber.Events(ctx, js, cfg, func(_ context.Context, e visit.Event) error {
			got <- e
			return nil
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return sender, got, failed
}

// cloudEvent is an event with our attributes, as a program with the SDK makes it.
func cloudEvent(t *testing.T, e visit.Event) sdk.Event {
	t.Helper()
	body, err := visit.MarshalEvent(&e)
	if err != nil {
		t.Fatal(err)
	}
	c := sdk.NewEvent()
	c.SetID(e.ID)
	c.SetType(visit.EventType(e.Kind))
	c.SetSource(visit.EventSource(e.Site, e.Integration))
	c.SetTime(e.Time)
	c.SetSubject(e.Visit.Value)
	c.SetDataSchema(visit.EventSchema)
	if err := c.SetData(visit.ContentJSON, body); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestSubscriber_ReadsWhatTheSDKPublishesInBinaryMode(t *testing.T) {
	t.Parallel()
	sender, got, failed := publishing(t, visit.KindCheckedIn)
	for name, v := range subscribertest.Visits() {
		want := v.CheckedIn()
		c := cloudEvent(t, want)
		if err := sender.Send(binding.WithForceBinary(t.Context()), binding.ToMessage(&c)); err != nil {
			t.Fatal(err)
		}
		select {
		case e := <-got:
			if e.ID != want.ID || !e.Time.Equal(want.Time) || string(e.Source) != string(want.Source) {
				t.Errorf("%s: got %+v", name, e)
			}
		case err := <-failed:
			t.Errorf("%s: %v", name, err)
		case <-time.After(wait.Limit):
			t.Fatalf("%s: nothing came", name)
		}
	}
}

// In structured mode the body is not the event, but has it. The contract is binary mode.
func TestSubscriber_SaysWhyItDoesNotReadStructuredMode(t *testing.T) {
	t.Parallel()
	sender, got, failed := publishing(t, visit.KindCheckedIn)
	c := cloudEvent(t, subscribertest.Visitor().CheckedIn())
	if err := sender.Send(binding.WithForceStructured(t.Context()), binding.ToMessage(&c)); err != nil {
		t.Fatal(err)
	}
	select {
	case e := <-got:
		t.Errorf("got %+v", e)
	case err := <-failed:
		var which *subscriber.EventError
		if !errors.Is(err, subscriber.ErrInvalidEvent) || !errors.As(err, &which) || !which.Final || which.Err.Error() != "invalid event: a CloudEvent in structured mode, where binary mode is the contract" {
			t.Error(err)
		}
	case <-time.After(wait.Limit):
		t.Fatal("nothing came")
	}
}

// The SDK sends no Nats-Msg-Id, by which a stream recognizes a repeat: only the id of the
// event tells.
func TestSDK_SendsNoIDForTheStream(t *testing.T) {
	t.Parallel()
	sender, got, _ := publishing(t, visit.KindCheckedIn)
	c := cloudEvent(t, subscribertest.Visitor().CheckedIn())
	for range 2 {
		if err := sender.Send(t.Context(), binding.ToMessage(&c)); err != nil {
			t.Fatal(err)
		}
	}
	if a, b := <-got, <-got; a.ID != b.ID {
		t.Errorf("got %s and %s", a.ID, b.ID)
	}
}
