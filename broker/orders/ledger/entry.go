// Package ledger decides what the entries of the bucket of standing orders say: which of
// them count, which orders are in force after each, and what stays in force although the
// bucket has lost it. It reads no bucket: its user gives it all entries of each key, and
// then every new one.
//
// In doubt a door stays locked: what does not count changes nothing, and a lockdown ends
// only by a lift, by another order in its place, or by its own time.
package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

const (
	keyAll  = "all"
	keySite = "site."
)

// Key is where the bucket has an order. A site called "all" does not share the
// key of all sites.
func Key(kind visit.OrderKind, site string) string {
	if site == visit.AllSites {
		return string(kind) + "." + keyAll
	}
	return string(kind) + "." + keySite + site
}

// Terms reads a key.
func Terms(key string) (kind visit.OrderKind, site string, ok bool) {
	first, place, _ := strings.Cut(key, ".")
	kind = visit.OrderKind(first)
	if kind != visit.OrderLockdown && kind != visit.OrderOverride {
		return "", "", false
	}
	if place == keyAll {
		return kind, visit.AllSites, true
	}
	site, ok = strings.CutPrefix(place, keySite)
	return kind, site, ok && visit.ValidName(site)
}

// ErrInvalid is wrapped by every report of an entry that counts for nothing.
var ErrInvalid = errors.New("not a valid order")

// Entry is one message of the bucket. At most one of Order, Lift and Fault is set
// besides what says where it stands.
type Entry struct {
	Key      string
	Revision uint64
	Stored   time.Time // by the server's clock

	Order *visit.Order
	Lift  *visit.Lift
	// Fault is why it counts for nothing, or nil.
	Fault error
	// Deleted is set for a marker of a deletion, and for a roll-up, which took
	// away what was under the key before it. It has a fault as well.
	Deleted bool
	// tookAll is set for a roll-up of the whole bucket.
	tookAll bool
}

// sinceTolerance is how far the time at which an order says that it was given may
// be from the time at which the server stored it. Both are NATS' time. What is
// stored anew later is a copy: whoever may request anything of JetStream can have
// the answer stored under a key of the bucket, old entries among them.
const sinceTolerance = 5 * time.Second

const headerOperation = "KV-Operation"

// Read takes in a message of the bucket. maxOverride is the longest that an
// override may last; 0 for no limit.
func (e Entry) Read(header nats.Header, value []byte, maxOverride time.Duration) Entry {
	fail := func(err error) Entry {
		e.Order, e.Lift = nil, nil
		e.Fault = fmt.Errorf("%w: entry %q of revision %d: %w", ErrInvalid, e.Key, e.Revision, err)
		return e
	}
	e.tookAll = strings.EqualFold(header.Get(jetstream.MsgRollup), jetstream.MsgRollupAll)
	if operation := header.Get(headerOperation); operation == "DEL" || operation == "PURGE" || header.Get(jetstream.MarkerReasonHeader) != "" {
		e.Deleted = true
		return fail(errors.New("it was deleted, which lifts no order: lift the order by its id, with the command lift"))
	}
	if rollUp := header.Get(jetstream.MsgRollup); rollUp != "" {
		e.Deleted = true
		return fail(errors.New("it is a roll-up, which removed the entries before it and lifts no order"))
	}
	if name := copied(header); name != "" {
		return fail(fmt.Errorf("it has the header %s, as a copy of another message has", name))
	}
	if err := e.parse(value); err != nil {
		return fail(err)
	}
	if err := e.checkTimes(maxOverride); err != nil {
		return fail(err)
	}
	return e
}

// copied returns a header that NATS adds to what it copies, or nothing. What a
// publisher sets for a publication is none.
func copied(header nats.Header) string {
	for name := range header {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "nats-") && !strings.HasPrefix(lower, "nats-expected-") && lower != "nats-msg-id" {
			return name
		}
	}
	return ""
}

// parse quotes nothing of a value that may be anything.
func (e *Entry) parse(value []byte) error {
	kind, site, ok := Terms(e.Key)
	if !ok {
		return fmt.Errorf("the key is neither %s nor %s, nor the same of an %s",
			Key(visit.OrderLockdown, "<site>"), Key(visit.OrderLockdown, visit.AllSites), visit.OrderOverride)
	}
	var what struct {
		visit.Order
		Lifts *string `json:"lifts"`
	}
	// The decoder would mend what is not UTF-8.
	if !utf8.Valid(value) || json.Unmarshal(value, &what) != nil {
		return errors.New("the value is not a valid order in JSON")
	}
	o := what.Order
	if what.Lifts != nil {
		l := visit.Lift{
			Kind: o.Kind, Site: o.Site, Lifts: *what.Lifts, Since: o.Since.UTC(),
			Reason: o.Reason, By: o.By, User: o.User, Account: o.Account,
		}
		e.Lift = &l
		if err := l.Validate(); err != nil {
			return err
		}
	} else {
		// So that equal orders are equal by ==.
		o.Since, o.Until = o.Since.UTC(), o.Until.UTC()
		e.Order = &o
		if err := o.Validate(); err != nil {
			return err
		}
		if _, err := json.Marshal(o); err != nil { // what cannot be kept must not be obeyed
			return errors.New("a time is outside the years 0 to 9999")
		}
	}
	if o.Kind != kind || o.Site != site {
		return fmt.Errorf("the order belongs under the key %s", Key(o.Kind, o.Site))
	}
	return nil
}

func (e *Entry) checkTimes(maxOverride time.Duration) error {
	var since, until time.Time
	if e.Lift != nil {
		since = e.Lift.Since
	} else {
		since, until = e.Order.Since, e.Order.Until
	}
	if since.IsZero() {
		return errors.New("it has no time at which it was given")
	}
	if e.Order != nil && e.Order.Kind == visit.OrderOverride && maxOverride > 0 && until.Sub(since) > maxOverride {
		return fmt.Errorf("the override lasts %s, the maximum is %s", until.Sub(since), maxOverride)
	}
	if off := e.Stored.Sub(since).Abs(); off > sinceTolerance {
		return fmt.Errorf("its time differs by %s from the time at which it was stored, as in a copy of an old order", off.Round(time.Second))
	}
	return nil
}

// repeated is the fault of an entry that says again what has been said.
func repeated(e Entry) error {
	return fmt.Errorf("%w: entry %q of revision %d: it duplicates an earlier order", ErrInvalid, e.Key, e.Revision)
}
