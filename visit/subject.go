package visit

// DefaultPrefix is the first token of every subject unless an installation
// chooses another.
const DefaultPrefix = "visitors"

// Default names of the streams, and of the key-value bucket of standing orders.
const (
	DefaultEventStream      = "VISITORS"
	DefaultDecisionStream   = "VISITOR_DECISIONS"
	DefaultQuarantineStream = "VISITOR_QUARANTINE"
	DefaultOrderBucket      = "VISITOR_ORDERS"
)

// Root is the part of the subject tree that a message belongs to. The roots are
// disjoint: a stream that also covered [RootAsk] would answer a question with
// its own acknowledgement.
type Root string

const (
	RootAsk        Root = "ask"
	RootEvent      Root = "event"
	RootDecision   Root = "decision"
	RootQuarantine Root = "quarantine"
)

// Subjects makes the names under which things travel. Sites, deciders and
// integrations are names as of [ValidName]; nothing from a payload is ever part
// of a subject. The zero value uses [DefaultPrefix].
type Subjects struct{ Prefix string }

// Ask is the subject of questions to a decider of a site.
func (s Subjects) Ask(site, decider string) string {
	return s.under(RootAsk) + site + "." + decider
}

// Event is the subject of one kind of event at a site.
func (s Subjects) Event(site string, kind Kind) string {
	return s.under(RootEvent) + site + "." + string(kind)
}

// Events is the filter for all events of one site.
func (s Subjects) Events(site string) string { return s.under(RootEvent) + site + ".>" }

// Decision is the subject of records of decisions at a site, by what was
// decided: [ResultAccepted] or [ResultRejected].
func (s Subjects) Decision(site, outcome string) string {
	return s.under(RootDecision) + site + "." + outcome
}

// Quarantine is the subject of what a site's integrations sent and the relay
// could not understand.
func (s Subjects) Quarantine(site string) string { return s.under(RootQuarantine) + site }

// All is the filter for everything below a root.
func (s Subjects) All(root Root) string { return s.under(root) + ">" }

func (s Subjects) under(root Root) string {
	prefix := s.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return prefix + ".v1." + string(root) + "."
}

// Header names on NATS messages. NATS and its Go client compare them with their
// case, so these spellings are part of the wire format.
const (
	// HeaderSpecVersion to HeaderContentType are the CloudEvents 1.0
	// attributes in binary mode (NATS protocol binding 1.0.2).
	HeaderSpecVersion     = "ce-specversion"
	HeaderID              = "ce-id"
	HeaderType            = "ce-type"
	HeaderSource          = "ce-source"
	HeaderTime            = "ce-time"
	HeaderSubject         = "ce-subject"
	HeaderDataContentType = "ce-datacontenttype"
	HeaderContentType     = "content-type"

	// HeaderMsgID makes JetStream recognise a repeat. Its value is that of
	// HeaderID.
	HeaderMsgID = "Nats-Msg-Id"

	// HeaderRequestID is the id of the webhook call.
	HeaderRequestID = "Sine-Relay-Request-Id"
	// HeaderIntegration is the name of the integration that was called.
	HeaderIntegration = "Sine-Relay-Integration"
	// HeaderXRequestID and HeaderTraceparent are what a trusted proxy called the
	// webhook call; see [Trace]. A NATS server follows messages with the latter
	// where msg_trace is set for the account, and nowhere else.
	HeaderXRequestID  = "X-Request-Id"
	HeaderTraceparent = "traceparent"
	// HeaderTimeout is on a question: the milliseconds that remained for an
	// answer when it was sent. It is a duration because a few seconds
	// between two clocks would make an absolute time useless.
	HeaderTimeout = "Sine-Relay-Timeout-Ms"
	// HeaderAttempt is on a question that was sent before: 2 for the second time.
	// All that the decider is asked is the same.
	HeaderAttempt = "Sine-Relay-Attempt"
	// HeaderReceived is on a quarantined body: when the relay received it,
	// RFC 3339.
	HeaderReceived = "Sine-Relay-Received"
	// HeaderReason is on a quarantined body: one of the [Reason] values.
	HeaderReason = "Sine-Relay-Reason"
	// HeaderRefusedSubject is on an event in the quarantine: where it belonged.
	HeaderRefusedSubject = "Sine-Relay-Refused-Subject"
	// HeaderSynthetic is "true" on a call that tries the relay out, where the
	// admin listener takes it, and on what is quarantined of it.
	HeaderSynthetic = "Sine-Relay-Synthetic"
	// HeaderCut is "true" on a quarantined body of which only the beginning was
	// kept, and HeaderAnnounced is how many bytes the caller said it has, where
	// that is known.
	HeaderCut           = "Sine-Relay-Cut"
	HeaderContentLength = "Sine-Relay-Content-Length"
	// HeaderContentEncoding is on a quarantined body that has content encodings: those,
	// as HTTP lists them.
	HeaderContentEncoding = "Sine-Relay-Content-Encoding"
	// HeaderKind is on a quarantined body whose URL names the event.
	HeaderKind = "Sine-Relay-Kind"
)

// CloudEvents attribute values.
const (
	SpecVersion = "1.0"
	ContentJSON = "application/json"

	recordType = "io.github.sine-relay.visit.decision.v1"
	typePrefix = "io.github.sine-relay.visit."
	typeSuffix = ".v1"
)

// EventType is the CloudEvents type of a kind, for example
// "io.github.sine-relay.visit.checked_in.v1".
func EventType(k Kind) string { return typePrefix + string(k) + typeSuffix }

// EventSource is the CloudEvents source of everything that came in through an
// integration.
func EventSource(site, integration string) string {
	return "/sites/" + site + "/integrations/" + integration
}
