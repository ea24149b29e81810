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
	// Expired counts questions whose time was over before they were answered,
	// from that moment on: one that the program hangs in is counted.
	Expired int64 `json:"expired"`
	// Late counts those of the expired that the program answered after all. Such
	// an answer is not sent, and no relay can count it.
	Late int64 `json:"late"`
	// Stalls counts how often the program did not run for a second or more: it
	// was stopped, or got no CPU. Questions that waited meanwhile are expired
	// unless their time outlasted it.
	Stalls int64 `json:"stalls"`
	// AverageNanoseconds is the mean time of the questions that the program was
	// asked, whatever came of them. One that it has not returned from counts
	// with the time that the visitor waited.
	AverageNanoseconds int64 `json:"average_ns"`
}
