package visit

// DefaultPrefix is the prefix of every subject unless the relay is configured with
// another.
const DefaultPrefix = "visitors"

// Default names of the streams, and of the key-value bucket of standing orders.
const (
	DefaultEventStream      = "VISITORS"
	DefaultDecisionStream   = "VISITOR_DECISIONS"
	DefaultQuarantineStream = "VISITOR_QUARANTINE"
	DefaultAuditStream      = "VISITOR_DESK"
	DefaultOrderBucket      = "VISITOR_ORDERS"
)

// Root is the part of the subject tree that a message belongs to. The roots are
// disjoint: a stream that also covered [RootAsk] would reply to a check-in request
// with its own acknowledgement.
type Root string

const (
	RootAsk        Root = "ask"
	RootEvent      Root = "event"
	RootDecision   Root = "decision"
	RootQuarantine Root = "quarantine"
	RootAudit      Root = "audit"
)

// Subjects returns the NATS subjects of an installation. Sites and deciders are names
// as of [ValidName], which is not checked; nothing from a payload is ever part of a
// subject. The zero value uses [DefaultPrefix].
type Subjects struct{ Prefix string }

// Ask is the subject of check-in requests to a decider of a site.
func (s Subjects) Ask(site, decider string) string {
	return s.under(RootAsk) + site + "." + decider
}

// Event is the subject of one kind of event at a site.
func (s Subjects) Event(site string, kind Kind) string {
	return s.under(RootEvent) + site + "." + string(kind)
}

// Events is the filter for all events of one site.
func (s Subjects) Events(site string) string { return s.under(RootEvent) + site + ".>" }

// Decision is the subject of decision records of a site, by their result:
// [ResultAccepted] or [ResultRejected].
func (s Subjects) Decision(site, result string) string {
	return s.under(RootDecision) + site + "." + result
}

// Quarantine is the subject of quarantined messages of a site.
func (s Subjects) Quarantine(site string) string { return s.under(RootQuarantine) + site }

// Audit is the subject of what somebody did at the desk at a site, or at [AllSites],
// which is "_all" here: every token of a subject can be read.
func (s Subjects) Audit(site string, action Action) string {
	if site == AllSites {
		site = auditAllSites
	}
	return s.under(RootAudit) + site + "." + string(action)
}

// auditAllSites is a name that a site could have as well: the body tells.
const auditAllSites = "_all"

// All is the filter for all subjects below a root.
func (s Subjects) All(root Root) string { return s.under(root) + ">" }

func (s Subjects) under(root Root) string {
	prefix := s.Prefix
	if prefix == "" {
		prefix = DefaultPrefix
	}
	return prefix + ".v1." + string(root) + "."
}

// Headers of NATS messages. NATS and its Go client distinguish upper and lower case,
// so these spellings are part of the wire format.
const (
	// HeaderSpecVersion to HeaderContentType are the CloudEvents 1.0
	// attributes in binary mode (NATS protocol binding 1.0.2).

	// HeaderSpecVersion is the version of CloudEvents, [SpecVersion].
	HeaderSpecVersion = "ce-specversion"
	// HeaderID is the same for every delivery of a message. In the quarantine it is the
	// id of an event that its stream refused.
	HeaderID = "ce-id"
	// HeaderType says what the message is, for example
	// "io.github.sine-relay.visit.checked_in.v1".
	HeaderType = "ce-type"
	// HeaderSource is the site and the integration, for example
	// "/sites/hq/integrations/lobby".
	HeaderSource = "ce-source"
	// HeaderTime is when the visitor checked in or out, RFC 3339; on a decision record,
	// when the relay received the webhook.
	HeaderTime = "ce-time"
	// HeaderSubject is the [VisitKey.Value]. It is absent when Sine sent no id.
	HeaderSubject = "ce-subject"
	// HeaderDataContentType equals HeaderContentType.
	HeaderDataContentType = "ce-datacontenttype"
	// HeaderDataSchema is the $id of the body's JSON Schema, which package
	// visit/contract has. Messages of earlier relays do not have it.
	HeaderDataSchema = "ce-dataschema"
	// HeaderContentType is the media type of the body, [ContentJSON].
	HeaderContentType = "content-type"

	// HeaderMsgID lets JetStream recognize a duplicate. Its value is that of
	// HeaderID; in the quarantine it has one of its own.
	HeaderMsgID = "Nats-Msg-Id"

	// HeaderRequestID is the id of the webhook, [Origin.RequestID].
	HeaderRequestID = "Sine-Relay-Request-Id"
	// HeaderIntegration is the name of the integration that was called.
	HeaderIntegration = "Sine-Relay-Integration"
	// HeaderCorrects is on an event that corrects another one: that one's id. See
	// [Event.Supersedes].
	HeaderCorrects = "Sine-Relay-Corrects"
	// HeaderXRequestID and HeaderTraceparent are those of a trusted proxy; see
	// [Trace]. A NATS server traces messages with the latter only where msg_trace is
	// set for the account.
	HeaderXRequestID  = "X-Request-Id"
	HeaderTraceparent = "traceparent"
	// HeaderTimeout is on a check-in request: the milliseconds that remained for the
	// decision when it was sent. It is a duration because a difference of a few
	// seconds between two clocks would make an absolute time useless.
	HeaderTimeout = "Sine-Relay-Timeout-Ms"
	// HeaderAttempt is on a check-in request that is sent again: "2" for the second
	// attempt. Its body is the same.
	HeaderAttempt = "Sine-Relay-Attempt"
	// HeaderReceived is on a quarantined message: when the relay received its body,
	// RFC 3339.
	HeaderReceived = "Sine-Relay-Received"
	// HeaderReason is on a quarantined message: why it is there, a [Reason].
	HeaderReason = "Sine-Relay-Reason"
	// HeaderRefusedSubject is on an event in the quarantine: its subject.
	HeaderRefusedSubject = "Sine-Relay-Refused-Subject"
	// HeaderSynthetic is "true" on an operator's test request to the admin listener,
	// and on a message that is quarantined of it.
	HeaderSynthetic = "Sine-Relay-Synthetic"
	// HeaderCut is "true" on a quarantined message with only the beginning of the
	// body. HeaderContentLength is the Content-Length of that request in bytes, if it
	// had one.
	HeaderCut           = "Sine-Relay-Cut"
	HeaderContentLength = "Sine-Relay-Content-Length"
	// HeaderContentEncoding is on a quarantined message whose body has content
	// encodings: the Content-Encoding of the request.
	HeaderContentEncoding = "Sine-Relay-Content-Encoding"
	// HeaderKind is on a quarantined message whose URL names the kind.
	HeaderKind = "Sine-Relay-Kind"
	// HeaderTimeZone is on a quarantined message: the time zone of the site when the body
	// came, a name of the IANA database.
	HeaderTimeZone = "Sine-Relay-Time-Zone"
)

// CloudEvents attribute values.
const (
	SpecVersion = "1.0"
	ContentJSON = "application/json"

	// AuditSource is the CloudEvents source of what was done at the desk.
	AuditSource = "/desk"

	recordType = "io.github.sine-relay.visit.decision.v1"
	auditType  = "io.github.sine-relay.visit.audit.v1"
	typePrefix = "io.github.sine-relay.visit."
	typeSuffix = ".v1"
)

// SchemaRoot begins the $id of every JSON Schema of v1. An $id is a name and never
// changes its meaning: within v1 what it names only gets more optional fields. The
// files are in package visit/contract.
const SchemaRoot = "https://github.com/sine-relay/sine-relay/visit/contract/v1/"

// The schemas of the CloudEvents, for [HeaderDataSchema].
const (
	EventSchema  = SchemaRoot + "event.schema.json"
	RecordSchema = SchemaRoot + "decision-record.schema.json"
	AuditSchema  = SchemaRoot + "audit.schema.json"
)

// EventType is the CloudEvents type of a kind, for example
// "io.github.sine-relay.visit.checked_in.v1".
func EventType(k Kind) string { return typePrefix + string(k) + typeSuffix }

// EventSource is the CloudEvents source of the messages of an integration, for
// example "/sites/hq/integrations/lobby".
func EventSource(site, integration string) string {
	return "/sites/" + site + "/integrations/" + integration
}
