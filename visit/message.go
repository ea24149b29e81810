package visit

import (
	"fmt"
	"strings"
	"time"
)

// Message is something ready to be sent over NATS. Its header holds no name
// that NATS would obey except [HeaderMsgID].
type Message struct {
	Root    Root
	Subject string
	// ID is what a repeat is recognised by. A question has none.
	ID string
	// Order is what messages have in common that must stay in their order: the
	// visit where Sine names it, else the integration. It does not travel.
	Order  string
	Header map[string][]string
	Data   []byte
}

// What an [Message.Order] begins with.
const (
	orderVisit       = "visit/"
	orderIntegration = "integration/"
	orderDecision    = "decision/"
	orderQuarantine  = "quarantine/"
)

// OfVisit reports whether the message's order is that of one visit.
func (m Message) OfVisit() bool { return strings.HasPrefix(m.Order, orderVisit) }

// Message returns the event as it travels: a CloudEvent in binary mode.
func (e *Event) Message(s Subjects) (Message, error) {
	data, err := MarshalEvent(e)
	if err != nil {
		return Message{}, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	h := map[string][]string{
		HeaderSpecVersion:     {SpecVersion},
		HeaderID:              {e.ID},
		HeaderMsgID:           {e.ID},
		HeaderType:            {EventType(e.Kind)},
		HeaderSource:          {EventSource(e.Site, e.Integration)},
		HeaderTime:            {e.Time.Format(time.RFC3339Nano)},
		HeaderDataContentType: {ContentJSON},
		HeaderContentType:     {ContentJSON},
		HeaderRequestID:       {e.RequestID},
		HeaderIntegration:     {e.Integration},
	}
	e.Trace.addTo(h)
	order := orderIntegration + e.Integration
	if e.Visit.Basis == VisitKeyFromSine {
		h[HeaderSubject] = []string{e.Visit.Value}
		order = orderVisit + e.Visit.Value
	}
	return Message{Root: RootEvent, Subject: s.Event(e.Site, e.Kind), ID: e.ID, Order: order, Header: h, Data: data}, nil
}

// Message returns the request as a question to one decider.
func (r *CheckInRequest) Message(s Subjects, decider string) (Message, error) {
	data, err := MarshalCheckInRequest(r)
	if err != nil {
		return Message{}, fmt.Errorf("encode request %s: %w", r.RequestID, err)
	}
	h := map[string][]string{
		HeaderContentType: {ContentJSON},
		HeaderRequestID:   {r.RequestID},
		HeaderIntegration: {r.Integration},
	}
	r.Trace.addTo(h)
	return Message{Root: RootAsk, Subject: s.Ask(r.Site, decider), Header: h, Data: data}, nil
}
