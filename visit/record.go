package visit

import (
	"encoding/json"
	"fmt"
	"time"
)

// Record says how one check-in request was answered, and why. It is the body of
// a message on [Subjects.Decision]. It holds no personal data: neither who stood
// at the door nor any text of a decider. Its ids lead to a person for whoever
// may read the events as well.
type Record struct {
	// RequestID is the id of the webhook call, and Reference its short form,
	// which the visitor could read.
	RequestID string `json:"requestId"`
	Reference string `json:"reference"`
	// Trace is what a proxy called it.
	Trace Trace  `json:"trace,omitzero"`
	Site  string `json:"site"`
	// Integration is the name of the WebHook integration in Sine.
	Integration string    `json:"integration"`
	Received    time.Time `json:"received"`
	// Visit is the key that the events of the same visit carry, where Sine
	// names it before there is a pass.
	Visit     VisitKey `json:"visit"`
	Synthetic bool     `json:"synthetic,omitempty"`

	Verdict Verdict `json:"verdict"`
	// Situation is "decided" or why there was no decision.
	Situation string `json:"situation"`
	// Rule says in a few words what settled it, for example
	// "all: watchlist rejected".
	Rule string `json:"rule"`
	// Decider is who settled it: who decided, or whose fallback counted. It is
	// empty where that was nobody in particular.
	Decider string `json:"decider,omitempty"`
	// Fallback is set when the answer came from the configuration and not
	// from a decider.
	Fallback bool `json:"fallback,omitempty"`
	// Order is set when a standing order of the operator was the reason.
	Order *OrderNote `json:"order,omitempty"`
	// TookMs is from the arrival of the call to its answer.
	TookMs float64 `json:"tookMs"`
	// Votes has an entry for each decider of the integration.
	Votes []Vote `json:"votes,omitempty"`
	// Policy names the configuration that was in force: the same name, the
	// same rules.
	Policy string `json:"policy"`
}

// Vote is one decider's part in an answer.
type Vote struct {
	Decider string `json:"decider"`
	// Version is the decider's own word about itself.
	Version string `json:"version,omitempty"`
	// Shadow deciders are asked and not obeyed.
	Shadow bool `json:"shadow,omitempty"`
	// Situation is "decided", or why there is no decision: "unasked" when the
	// decider's condition did not hold, "unheard" when the answer was certain
	// without it.
	Situation string `json:"situation"`
	// Verdict is what it counted for, a shadow's its own. Fallback is set when
	// that was configured and not decided.
	Verdict  Verdict `json:"verdict,omitempty"`
	Fallback bool    `json:"fallback,omitempty"`
	TookMs   float64 `json:"tookMs,omitempty"`
}

// OrderNote names a standing order.
type OrderNote struct {
	Kind OrderKind `json:"kind"`
	// ID is the [Order.Identity].
	ID string `json:"id,omitempty"`
	// By, User and Account are as in [Order].
	By      string    `json:"by,omitempty"`
	User    string    `json:"user,omitempty"`
	Account string    `json:"account,omitempty"`
	Since   time.Time `json:"since"`
}

// Outcomes are the last tokens of the subjects of records.
const (
	ResultAccepted = "accepted"
	ResultRejected = "rejected"
)

// Message returns the record as it travels: a CloudEvent in binary mode. Its id
// is that of the call.
func (r *Record) Message(s Subjects) (Message, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return Message{}, fmt.Errorf("encode the record of %s: %w", r.RequestID, err)
	}
	outcome := ResultAccepted
	if r.Verdict == Reject {
		outcome = ResultRejected
	}
	h := map[string][]string{
		HeaderSpecVersion:     {SpecVersion},
		HeaderID:              {r.RequestID},
		HeaderMsgID:           {r.RequestID},
		HeaderType:            {recordType},
		HeaderSource:          {EventSource(r.Site, r.Integration)},
		HeaderTime:            {r.Received.Format(time.RFC3339Nano)},
		HeaderDataContentType: {ContentJSON},
		HeaderContentType:     {ContentJSON},
		HeaderRequestID:       {r.RequestID},
		HeaderIntegration:     {r.Integration},
	}
	r.Trace.addTo(h)
	if r.Visit.Basis == VisitKeyFromSine {
		h[HeaderSubject] = []string{r.Visit.Value}
	}
	return Message{
		Root: RootDecision, Subject: s.Decision(r.Site, outcome), ID: r.RequestID,
		OrderingKey: orderDecision + r.Integration, Header: h, Data: data,
	}, nil
}
