package visit

import (
	"time"
)

// RelayService is the name of every relay as a NATS micro service: `nats micro info
// sine-relay` lists them, each process with its own id.
const RelayService = "sine-relay"

// RelayStatus is the "data" of the endpoint "status" in the statistics of a relay as a
// NATS micro service, the reply to $SRV.STATS.sine-relay. It contains no personal data
// and no text of an order.
type RelayStatus struct {
	// State is the relay's readiness: ready, degraded, starting or draining.
	State string `json:"state"`
	// OrdersKnown is set while the relay knows the standing orders. While it does
	// not, it obeys the lockdowns that it has read, and no override.
	OrdersKnown bool `json:"ordersKnown"`
	// OrdersReadAt is when the relay last read the orders, by its own clock. It
	// is absent when it never did.
	OrdersReadAt time.Time `json:"ordersReadAt,omitzero"`
	// OrdersRevision is the revision of the newest entry in the bucket of standing
	// orders that the relay has read and that concerns it; 0 for none.
	OrdersRevision uint64 `json:"ordersRevision"`
	// Orders are the orders in force that the relay obeys.
	Orders []RelayOrder `json:"orders"`
	// Sites are the sites of the relay's integrations, at most [MaxRelaySites].
	// SiteCount is the number of all of them.
	Sites     []string `json:"sites"`
	SiteCount int      `json:"siteCount"`
	// Spooled is the number of messages in the relay's spool, and SpoolFull how full that
	// is, from 0 to 1.
	Spooled   int     `json:"spooled"`
	SpoolFull float64 `json:"spoolFull,omitempty"`
	// Impaired is what a person must mend while the relay answers, or empty.
	Impaired string `json:"impaired,omitempty"`
	// Integrations are those of the relay, in the order of their names: the first
	// [MaxRelaySites], or fewer where the reply would get too large. IntegrationCount is
	// the number of all of them. Earlier relays say neither.
	Integrations     []RelayIntegration `json:"integrations,omitempty"`
	IntegrationCount int                `json:"integrationCount,omitempty"`
}

// RelayIntegration is an integration of a relay.
type RelayIntegration struct {
	Name        string `json:"name"`
	DisplayName string `json:"displayName,omitempty"`
	Site        string `json:"site"`
	// ExternalID is that of the relay's configuration.
	ExternalID string `json:"externalId,omitempty"`
	// TimeZone is the site's, a name of the IANA database.
	TimeZone string `json:"timeZone,omitempty"`
	// Deciders are the names of those that are asked.
	Deciders []string `json:"deciders,omitempty"`
	// Test marks it for tests: made-up visitors may be checked in there.
	Test bool `json:"test,omitempty"`
	// Invalid is set where its configuration is invalid: all its webhooks are answered
	// 401.
	Invalid bool `json:"invalid,omitempty"`
	// Drifting are fields that were in its bodies and are missing.
	Drifting []string `json:"drifting,omitempty"`
	// LastReceived is when this relay received its last authenticated webhook, by the
	// relay's clock. It is absent where none has come since the relay started.
	LastReceived time.Time `json:"lastReceived,omitzero"`
	// NotConfirmed is set where no test visit has shown that Sine obeys its rejections.
	NotConfirmed bool `json:"notConfirmed,omitempty"`
}

// MaxRelaySites bounds [RelayStatus.Sites] and [RelayStatus.Integrations].
const MaxRelaySites = 1000

// Relay is a relay as NATS discovery shows it.
type Relay struct {
	// ID is another one after each start.
	ID, Version string
	Started     time.Time
	RelayStatus
}

// RelayOrder identifies an order that a relay obeys.
type RelayOrder struct {
	Kind OrderKind `json:"kind"`
	Site string    `json:"site"`
	// ID is the [Order.Identity].
	ID string `json:"id"`
	// Lost is set for a lockdown that is no longer in the bucket although nobody
	// lifted it.
	Lost bool `json:"lost,omitempty"`
}

// DeciderService is the name of every decider as a NATS micro service: `nats micro
// info sine-relay-decider` lists them. Their metadata distinguish them.
const DeciderService = "sine-relay-decider"

// DeciderStats is the "data" of each endpoint in the statistics of a decider as a NATS
// micro service. It counts from the start of the program. The statistics of the
// service itself do not include decisions that are made concurrently.
type DeciderStats struct {
	// Decided counts decisions that were sent.
	Decided int64 `json:"decided"`
	// Failed counts check-in requests that the program failed to decide, or whose
	// reply could not be sent.
	Failed int64 `json:"failed"`
	// Overloaded counts check-in requests beyond those that may be in flight.
	Overloaded int64 `json:"overloaded"`
	// Expired counts check-in requests whose deadline passed without a decision, from
	// that moment on: one in which the program hangs is counted.
	Expired int64 `json:"expired"`
	// Late counts those of the expired that the program decided later. Such a
	// decision is not sent, and no relay can count it.
	Late int64 `json:"late"`
	// Stalls counts how often the program did not run for a second or more: it was
	// stopped, or got no CPU. Check-in requests that waited meanwhile expire unless
	// their deadline was later.
	Stalls int64 `json:"stalls"`
	// AverageMs is the mean time in milliseconds of the check-in requests that the
	// program decided or failed to decide. One that is still running after its
	// deadline counts with the time up to the deadline.
	AverageMs float64 `json:"averageMs"`
}

// Decider is a program that replies to check-in requests, as NATS discovery shows it. One
// that is no NATS micro service is not seen.
type Decider struct {
	// ID is another one after each start.
	ID, Version, Description string
	Started                  time.Time
	// Subjects are those whose check-in requests it replies to.
	Subjects []string
	// DeciderStats are zero for a program that does not report them.
	DeciderStats
	// Distance is how long discovery took to reach it and come back.
	Distance time.Duration
}
