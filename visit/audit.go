package visit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Audit says what somebody did at the desk. It is the body of a message on
// [Subjects.Audit]. It contains no personal data of visitors.
type Audit struct {
	// ID is random, up to 64 letters, digits and hyphens; it is the message's
	// [HeaderMsgID].
	ID string `json:"id"`
	// Time is when it was done, by the desk's clock.
	Time time.Time `json:"time"`
	// Action is what was done.
	Action Action `json:"action"`
	// Site is where, or [AllSites].
	Site string `json:"site"`
	// Subject is what it was done to: a request id, an event id, a visit's key or an
	// order's id, up to 128 characters. It is never a text that somebody wrote.
	Subject string `json:"subject,omitempty"`
	// User identifies who did it, as the desk's identity provider does, in up to 255
	// characters.
	User string `json:"user"`
	// Role is the role that permitted it, or empty.
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
	// ActionSignOut is that somebody signed out. Subject is the key of the session, which
	// all desks end when they read it.
	ActionSignOut Action = "sign_out"
)

const (
	maxAuditUser        = 255
	auditIDPattern      = `^[A-Za-z0-9-]{1,64}$`
	auditSubjectPattern = `^[A-Za-z0-9._:-]{0,128}$`
)

// Validate returns why a must be neither stored nor shown, or nil: who reads the entries
// must find nothing there but ids, names of sites, and who it was. Its errors name the
// field and do not quote it.
func (a *Audit) Validate() error {
	switch {
	case !consistsOf(a.ID, "-", 1, 64):
		return fmt.Errorf("the entry's field %q must match %s", "id", auditIDPattern)
	case a.Time.IsZero():
		return errors.New("the entry's time is missing")
	case !ValidName(string(a.Action)):
		return fmt.Errorf("the entry's action must match %s", NamePattern)
	case a.Site != AllSites && !ValidName(a.Site):
		return fmt.Errorf("the entry's site must be %q or match %s", AllSites, NamePattern)
	case !consistsOf(a.Subject, "._:-", 0, 128):
		return fmt.Errorf("the entry's field %q must match %s", "subject", auditSubjectPattern)
	case a.Role != "" && !ValidName(a.Role):
		return fmt.Errorf("the entry's role must match %s", NamePattern)
	case IsBlank(a.User):
		return errors.New("the entry does not say who it was")
	case strings.ContainsFunc(a.User, func(c rune) bool { return !unicode.IsPrint(c) }):
		return fmt.Errorf("the entry's field %q contains a character that cannot be printed", "user")
	}
	if err := checkText(a.User, maxAuditUser); err != nil {
		return fmt.Errorf("the entry's field %q %w", "user", err)
	}
	return nil
}

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
	if err := json.Unmarshal(data, &a); err != nil {
		return Audit{}, errors.New("not an audit entry in JSON")
	}
	if err := a.Validate(); err != nil {
		return Audit{}, err
	}
	if s.Audit(a.Site, a.Action) != subject {
		return Audit{}, errors.New("site and action are not those of the subject")
	}
	return a, nil
}
