package visit

// DeciderService is what every decider is called in NATS discovery: `nats micro
// info sine-relay-decider` finds them all. Metadata tell them apart.
const DeciderService = "sine-relay-decider"

// DeciderStats is the "data" of a decider's statistics in NATS discovery. The
// service's own numbers cannot see an answer that is given concurrently.
type DeciderStats struct {
	Answered   int64 `json:"answered"`
	Failed     int64 `json:"failed"`
	Overloaded int64 `json:"overloaded"`
	// Expired counts questions that were dropped because nobody waited any
	// more.
	Expired int64 `json:"expired"`
	// AverageNanoseconds is the mean time that an answered question took.
	AverageNanoseconds int64 `json:"average_ns"`
}
