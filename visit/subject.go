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
