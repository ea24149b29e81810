package visit

import "time"

// Audit says what somebody did at the desk. It contains no personal data of visitors.
type Audit struct {
	// ID is random; it is the message's "Nats-Msg-Id".
	ID string `json:"id"`
	// Time is when it was done, by the desk's clock.
	Time time.Time `json:"time"`
	// Action is what was done.
	Action Action `json:"action"`
	// Site is where, or [AllSites].
	Site string `json:"site"`
	// Subject is what it was done to: a request id, an event id, or an order's id.
	Subject string `json:"subject,omitempty"`
	// User identifies who did it, as the desk's identity provider does, and Role is the
	// role that permitted it.
	User string `json:"user"`
	Role string `json:"role"`
}

// Action is what was done at the desk. Its values are part of the wire format.
type Action string

const (
	// ActionReveal is that the names of a visitor were shown.
	ActionReveal Action = "reveal"
	// ActionSource is that the body that Sine sent was shown.
	ActionSource Action = "source"
	// ActionExport is that decisions were exported.
	ActionExport Action = "export"
	// ActionLockdown, ActionOverride and ActionLift are orders that were given.
	ActionLockdown Action = "lockdown"
	ActionOverride Action = "override"
	ActionLift     Action = "lift"
	// ActionTry is that a made-up visitor was checked in or out.
	ActionTry Action = "try"
)
