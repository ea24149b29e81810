package visit

import (
	"fmt"
	"time"
)

// Record says what a check-in request resulted in, and why. It is the body of a message
// on [Subjects.Decision]. It contains no personal data: neither the visitor nor any
// text of a decider. Its ids lead to a person only for those who may read the events as
// well.
type Record struct {
	// RequestID is the id of the webhook, and Reference its short form, which the
	// visitor could read.
	RequestID string `json:"requestId"`
	Reference string `json:"reference"`
	// Trace is how a trusted proxy identified it.
	Trace Trace `json:"trace,omitzero"`
	// Site is the name of the integration's site.
	Site string `json:"site"`
	// Integration is the name of the relay's integration that Sine called.
	Integration string `json:"integration"`
	// ExternalID is that of the integration in the relay's configuration.
	ExternalID string `json:"externalId,omitempty"`
	// Received is when the relay received the webhook, by its own clock.
	Received time.Time `json:"received"`
	// Visit is the key of the events of the same visit, when Sine sends an id before
	// there is a pass.
	Visit VisitKey `json:"visit"`
	// Synthetic marks a test by an operator: there is no visitor.
	Synthetic bool `json:"synthetic,omitempty"`

	// Verdict is how the check-in request was answered.
	Verdict Verdict `json:"verdict"`
	// Situation is "decided", or why there was no decision.
	Situation string `json:"situation"`
	// Rule is what decided, for example "all: watchlist rejected".
	Rule string `json:"rule"`
	// Missing are the fields that were expected and that the body lacked, as in
	// [Event]. They are the reason where the situation is "incomplete".
	Missing []string `json:"missing,omitempty"`
	// Decider is the decider whose decision or fallback was decisive. It is empty when
	// there is no single one.
	Decider string `json:"decider,omitempty"`
	// Fallback is set when the verdict came from the configuration and not from a
	// decider.
	Fallback bool `json:"fallback,omitempty"`
	// Order is set when a standing order was the reason.
	Order *OrderNote `json:"order,omitempty"`
	// TookMs is the time from the receipt of the webhook to the response, in
	// milliseconds.
	TookMs float64 `json:"tookMs"`
	// Votes has an entry for each decider of the integration.
	Votes []Vote `json:"votes,omitempty"`
	// Policy identifies the configuration that was in force: equal values, equal
	// rules.
	Policy string `json:"policy"`
}

// Vote is the part of one decider in a record.
type Vote struct {
	// Decider is the decider's name in the relay's configuration.
	Decider string `json:"decider"`
	// Version is what the decider says about itself.
	Version string `json:"version,omitempty"`
	// Shadow is set for a decider whose decision does not count.
	Shadow bool `json:"shadow,omitempty"`
	// Situation is "decided", or why there is no decision: "unasked" when the
	// decider's condition was false, "incomplete" when the body lacked what the
	// decider expects, "unheard" when the verdict was certain without it.
	Situation string `json:"situation"`
	// Verdict is what counted, or a shadow's decision. Fallback is set when it came
	// from the configuration.
	Verdict  Verdict `json:"verdict,omitempty"`
	Fallback bool    `json:"fallback,omitempty"`
	// TookMs is the time that the decider took, in milliseconds.
	TookMs float64 `json:"tookMs,omitempty"`
}

// OrderNote identifies a standing order in a record.
type OrderNote struct {
	// Kind is what the order does.
	Kind OrderKind `json:"kind"`
	// ID is the [Order.Identity].
	ID string `json:"id,omitempty"`
	// By, User and Account are as in [Order].
	By      string `json:"by,omitempty"`
	User    string `json:"user,omitempty"`
	Account string `json:"account,omitempty"`
	// Since is when the order was given.
	Since time.Time `json:"since"`
}

// Situations say whether a check-in request got a decider's decision, and if not, why
// not: [Record.Situation] and [Vote.Situation]. Later relays may add others.
const (
	// SituationDecided means that a decider decided.
	SituationDecided = "decided"
	// SituationNoDecider means that no decider subscribed to the request's subject.
	SituationNoDecider = "no_decider"
	// SituationTimeout means that no reply came before the deadline.
	SituationTimeout = "timeout"
	// SituationDisconnected means that the relay had no connection to NATS.
	SituationDisconnected = "disconnected"
	// SituationDenied means that NATS did not carry the request.
	SituationDenied = "denied"
	// SituationBadReply means that the decider's reply was invalid.
	SituationBadReply = "bad_reply"
	// SituationOverloaded means that more check-in requests were in flight than the relay
	// is configured for.
	SituationOverloaded = "overloaded"
	// SituationUnreadable means that the webhook could not be understood, and may have
	// been a check-in request.
	SituationUnreadable = "unreadable"
	// SituationIncomplete means that the request lacked something that was expected.
	SituationIncomplete = "incomplete"
	// SituationUnasked means that the condition of the decider, or of all deciders, was
	// false for the visitor.
	SituationUnasked = "unasked"
	// SituationOrdersUnknown means that deciders accepted while it was not known whether
	// a lockdown is in force, where that is not enough.
	SituationOrdersUnknown = "orders_unknown"
	// SituationLockedDown and SituationOverridden mean that an [Order] decided.
	SituationLockedDown = string(OrderLockdown)
	SituationOverridden = string(OrderOverride)
	// SituationUnheard is that of a vote for which the decision did not wait. It is never
	// that of a record.
	SituationUnheard = "unheard"
)

// Results are the last tokens of the subjects of records.
const (
	ResultAccepted = "accepted"
	ResultRejected = "rejected"
)

// Result is the last token of the record's subject: [ResultRejected] for [Reject], and
// [ResultAccepted] otherwise.
func (r *Record) Result() string {
	if r.Verdict == Reject {
		return ResultRejected
	}
	return ResultAccepted
}

// Message returns the record as a CloudEvent in binary mode. Its id is RequestID.
func (r *Record) Message(s Subjects) (Message, error) {
	data, err := r.marshal()
	if err != nil {
		return Message{}, fmt.Errorf("encode the decision record of %s: %w", r.RequestID, err)
	}
	h := headers(
		HeaderSpecVersion, SpecVersion,
		HeaderID, r.RequestID,
		HeaderMsgID, r.RequestID,
		HeaderType, recordType,
		HeaderSource, EventSource(r.Site, r.Integration),
		HeaderTime, r.Received.Format(time.RFC3339Nano),
		HeaderDataContentType, ContentJSON,
		HeaderDataSchema, RecordSchema,
		HeaderContentType, ContentJSON,
		HeaderRequestID, r.RequestID,
		HeaderIntegration, r.Integration,
	)
	r.Trace.addTo(h)
	if r.Visit.FromSine() {
		h[HeaderSubject] = []string{r.Visit.Value}
	}
	return Message{
		Root: RootDecision, Subject: s.Decision(r.Site, r.Result()), ID: r.RequestID,
		OrderingKey: orderDecision + r.Integration, Header: h, Data: data,
	}, nil
}

// marshal returns what json.Marshal would.
func (r *Record) marshal() ([]byte, error) {
	w := newEncoder()
	defer w.release()
	w.html = true
	w.begin()
	w.text("requestId", r.RequestID)
	w.text("reference", r.Reference)
	r.Trace.encode(w)
	w.text("site", r.Site)
	w.text("integration", r.Integration)
	w.optional("externalId", r.ExternalID)
	w.time("received", r.Received)
	r.Visit.encode(w)
	w.mark("synthetic", r.Synthetic)
	w.text("verdict", string(r.Verdict))
	w.text("situation", r.Situation)
	w.text("rule", r.Rule)
	w.list("missing", r.Missing)
	w.optional("decider", r.Decider)
	w.mark("fallback", r.Fallback)
	if r.Order != nil {
		r.Order.encode(w)
	}
	w.number("tookMs", r.TookMs)
	if len(r.Votes) > 0 {
		encodeVotes(w, r.Votes)
	}
	w.text("policy", r.Policy)
	w.end()
	return w.bytes()
}

func (o *OrderNote) encode(w *encoder) {
	w.name("order")
	w.begin()
	w.text("kind", string(o.Kind))
	w.optional("id", o.ID)
	w.optional("by", o.By)
	w.optional("user", o.User)
	w.optional("account", o.Account)
	w.time("since", o.Since)
	w.end()
}

func encodeVotes(w *encoder, votes []Vote) {
	w.name("votes")
	w.json = append(w.json, '[')
	for _, v := range votes {
		w.begin()
		w.text("decider", v.Decider)
		w.optional("version", v.Version)
		w.mark("shadow", v.Shadow)
		w.text("situation", v.Situation)
		w.optional("verdict", string(v.Verdict))
		w.mark("fallback", v.Fallback)
		if v.TookMs != 0 {
			w.number("tookMs", v.TookMs)
		}
		w.end()
	}
	w.json = append(w.json, ']')
}
