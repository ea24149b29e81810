package visit

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// OrderKind is what a standing order does. Its values are part of the wire
// format.
type OrderKind string

const (
	// OrderLockdown rejects every visitor.
	OrderLockdown OrderKind = "lockdown"
	// OrderOverride accepts visitors without asking a decider. A lockdown takes
	// precedence.
	OrderOverride OrderKind = "override"
)

// AllSites stands in an [Order] for every site. It is not a [ValidName], so no site
// can have this name.
const AllSites = "*"

// Order is a standing order of an operator, a lockdown or an override, for one site or
// for all. Its texts are one line each, without control characters and without invisible
// ones that can make people read another text, such as those that override the direction
// of writing.
type Order struct {
	// Kind is what the order does.
	Kind OrderKind `json:"kind"`
	// Site is a name as of [ValidName], or [AllSites].
	Site string `json:"site"`
	// Message is shown to visitors, up to 500 characters. When it is empty, the relay
	// uses its own text.
	Message string `json:"message,omitempty"`
	// Reason is for the decision record, up to 500 characters. It is required for an
	// override.
	Reason string `json:"reason,omitempty"`
	// By is who claims to have given the order, up to 100 characters. It proves
	// nothing.
	By string `json:"by,omitempty"`
	// User and Account are who gave it according to NATS, up to 100 characters each.
	// The operator's program asks NATS and writes the reply here, so that they prove
	// no more than that program does.
	User    string `json:"user,omitempty"`
	Account string `json:"account,omitempty"`
	// ID identifies the order: 20 random characters. It may be empty in an order that
	// another program than sine-relay wrote.
	ID string `json:"id,omitempty"`
	// Since is when the order was given, by NATS' clock.
	Since time.Time `json:"since,omitzero"`
	// Until is when the order ends by itself. The zero value is never, and is
	// invalid for an override.
	Until time.Time `json:"until,omitzero"`
}

const (
	maxOrderText = 500
	maxOrderBy   = 100
)

// Validate returns why o is invalid, and must be neither given nor obeyed, or nil. Its
// errors name the field and do not quote it.
func (o Order) Validate() error {
	if err := o.checkTerms(); err != nil {
		return err
	}
	for _, text := range []struct {
		name, value string
		most        int
	}{
		{"message", o.Message, maxOrderText}, {"reason", o.Reason, maxOrderText}, {"by", o.By, maxOrderBy},
		{"user", o.User, maxOrderBy}, {"account", o.Account, maxOrderBy},
	} {
		if err := checkText(text.value, text.most); err != nil {
			return fmt.Errorf("the order's field %q %w", text.name, err)
		}
	}
	return checkOrderID("id", o.ID)
}

const orderIDPattern = `^[A-Za-z0-9-]{0,64}$`

func checkOrderID(field, id string) error {
	if !consistsOf(id, "-", 0, 64) {
		return fmt.Errorf("the order's field %q must match %s", field, orderIDPattern)
	}
	return nil
}

// Identity is the order's ID. For an order without one it is derived from its fields:
// every reader derives the same.
func (o Order) Identity() string {
	if o.ID != "" {
		return o.ID
	}
	o.Since, o.Until = o.Since.UTC(), o.Until.UTC()
	return "none-" + digest([]byte(o.Kind), []byte(o.Site), []byte(o.Message), []byte(o.Reason), []byte(o.By),
		[]byte(o.Since.Format(time.RFC3339Nano)), []byte(o.Until.Format(time.RFC3339Nano)))[:16]
}

// Lift ends one standing order. It replaces the order in the bucket.
type Lift struct {
	// Kind and Site are those of the order that it ends.
	Kind OrderKind `json:"kind"`
	Site string    `json:"site"`
	// Lifts is the [Order.Identity] of the order that it ends. Every other
	// order stays in force.
	Lifts string `json:"lifts"`
	// Reason, By, User, Account and Since are as in [Order].
	Reason  string    `json:"reason,omitempty"`
	By      string    `json:"by,omitempty"`
	User    string    `json:"user,omitempty"`
	Account string    `json:"account,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Validate returns why l is invalid, and lifts nothing, or nil. Its errors quote no
// text.
func (l Lift) Validate() error {
	// Kind, site and texts as those of a lockdown, which needs nothing more.
	terms := Order{Kind: l.Kind, Site: l.Site, Reason: l.Reason, By: l.By, User: l.User, Account: l.Account}
	if l.Kind == OrderOverride {
		terms.Kind = OrderLockdown
	}
	if err := terms.Validate(); err != nil {
		return err
	}
	if l.Lifts == "" {
		return errors.New("a lift requires the id of the order that it ends")
	}
	return checkOrderID("lifts", l.Lifts)
}

// checkTerms checks all fields but the form of the texts.
func (o Order) checkTerms() error {
	override := o.Kind == OrderOverride
	switch {
	case !override && o.Kind != OrderLockdown:
		return fmt.Errorf("the order's kind must be %q or %q", OrderLockdown, OrderOverride)
	case o.Site != AllSites && !ValidName(o.Site):
		return fmt.Errorf("the order's site must be %q or match %s", AllSites, NamePattern)
	case override && o.Until.IsZero():
		return errors.New("an override requires a time at which it ends")
	case !o.Until.IsZero() && !o.Until.After(o.Since):
		return errors.New("the order ends before it begins")
	case override && IsBlank(o.Reason):
		return errors.New("an override requires a reason")
	}
	return nil
}

func checkText(s string, most int) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("is not valid UTF-8")
	case utf8.RuneCountInString(s) > most:
		return fmt.Errorf("has more than %d characters", most)
	case strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }):
		return errors.New("contains a control character, such as a line break")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return unicode.Is(hidden, r) }); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Errorf("contains the invisible character U+%04X, which can make people read another text: type the text anew, without it", r)
	}
	return nil
}

// InForce reports whether the order has not ended at the time now. It does not wait
// for Since: the operator's clock may be ahead of the reader's, and a lockdown must
// not be late by the difference.
func (o Order) InForce(now time.Time) bool {
	return o.Until.IsZero() || now.Before(o.Until)
}
