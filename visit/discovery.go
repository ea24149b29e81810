package visit

import (
	"time"
)

// RelayService is what every relay is called in NATS discovery: `nats micro ls`
// shows relays beside deciders, each process with an id of its own.
const RelayService = "sine-relay"

// RelayStatus is the "data" of the endpoint "status" in a relay's statistics in
// NATS discovery: the answer to $SRV.STATS.sine-relay. It holds nothing personal,
// and none of an order's texts.
type RelayStatus struct {
	// State is the relay's readiness: ready, degraded, starting or draining.
	State string `json:"state"`
	// OrdersKnown is set while the relay knows the standing orders. While it is
	// not, the relay obeys the lockdowns that it heard of, and no override.
	OrdersKnown bool `json:"ordersKnown"`
	// OrdersReadAt is when the relay last read the orders, by its own clock. It
	// is absent where it never did.
	OrdersReadAt time.Time `json:"ordersReadAt,omitzero"`
	// OrdersRevision is that of the newest entry of the bucket that the relay has
	// read, of those that concern it; 0 for none.
	OrdersRevision uint64 `json:"ordersRevision"`
	// Orders are those in force that the relay obeys.
	Orders []RelayOrder `json:"orders"`
	// Sites are those of the relay's integrations, the first [MaxRelaySites] of
	// them. SiteCount is how many there are.
	Sites     []string `json:"sites"`
	SiteCount int      `json:"siteCount"`
	// Spooled is how many messages are in the relay's spool.
	Spooled int `json:"spooled"`
}

// MaxRelaySites bounds [RelayStatus.Sites].
const MaxRelaySites = 1000

// RelayOrder names an order that a relay obeys.
type RelayOrder struct {
	Kind OrderKind `json:"kind"`
	Site string    `json:"site"`
	// ID is the [Order.Identity].
	ID string `json:"id"`
	// Lost is set for a lockdown that the bucket no longer has although nobody
	// lifted it.
	Lost bool `json:"lost,omitempty"`
}

// DeciderService is what every decider is called in NATS discovery: `nats micro
// info sine-relay-decider` finds them all. Metadata tell them apart.
const DeciderService = "sine-relay-decider"

// DeciderStats is the "data" of a decider's statistics in NATS discovery. The
// service's own numbers cannot see an answer that is given concurrently.
type DeciderStats struct {
	Decided    int64 `json:"decided"`
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
	// AverageMs is the mean time of the questions that the program was
	// asked, whatever came of them. One that it has not returned from counts
	// with the time that the visitor waited.
	AverageMs float64 `json:"averageMs"`
}
