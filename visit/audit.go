package visit

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Audit says what somebody did at the desk. It is the body of a message on
// [Subjects.Audit]. It contains no personal data of visitors.
type Audit struct {
	// ID is random; it is the message's [HeaderMsgID].
	ID string `json:"id"`
	// Time is when it was done, by the desk's clock.
	Time time.Time `json:"time"`
	// Action is what was done.
	Action Action `json:"action"`
	// Site is where, or [AllSites].
	Site string `json:"site"`
	// Subject is what it was done to: a request id, an event id, or an order's id.
	Subject string `json:"subject,omitempty"`
	// User identifies who did it, as the desk's identity provider does.
	User string `json:"user"`
	// Role is the role that permitted it.
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

// Message returns the entry as a CloudEvent in binary mode.
func (a *Audit) Message(s Subjects) (Message, error) {
	data, err := json.Marshal(a)
	if err != nil {
		return Message{}, fmt.Errorf("encode audit %s: %w", a.ID, err)
	}
	return Message{
		Root: RootAudit, Subject: s.Audit(a.Site, a.Action), ID: a.ID, OrderingKey: orderAudit,
		Header: headers(
			HeaderSpecVersion, SpecVersion,
			HeaderID, a.ID,
			HeaderMsgID, a.ID,
			HeaderType, auditType,
			HeaderSource, AuditSource,
			HeaderTime, a.Time.Format(time.RFC3339Nano),
			HeaderDataContentType, ContentJSON,
			HeaderDataSchema, AuditSchema,
			HeaderContentType, ContentJSON,
		),
		Data: data,
	}, nil
}

// ParseAudit reads a message of the audit's stream. What another program stored there,
// such as the reply to a request, is an error, which quotes nothing of it.
func ParseAudit(s Subjects, subject string, data []byte) (Audit, error) {
	var a Audit
	switch err := json.Unmarshal(data, &a); {
	case err != nil:
		return Audit{}, errors.New("not an audit entry in JSON")
	case a.ID == "" || a.User == "" || a.Time.IsZero():
		return Audit{}, errors.New(`one of the fields "id", "user" and "time" is missing`)
	case s.Audit(a.Site, a.Action) != subject:
		return Audit{}, errors.New("site and action are not those of the subject")
	default:
		return a, nil
	}
}
