package orders

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// entry is the last word on one key.
type entry struct {
	key string
	// order is nil for what was lifted or cannot be read.
	order *visit.Order
	// fault is why it cannot be read, or nil.
	fault error
	// lost is set for what the bucket no longer has and stays in force.
	lost bool

	revision uint64
	stored   time.Time // by the server's clock
}

// staleTo reports whether e comes from a replica that lags behind the one that
// held the other. In a bucket that was made again revisions begin anew, and the
// time of an earlier leader's clock may be ahead: either alone does not tell.
func (e entry) staleTo(other entry) bool {
	return e.revision < other.revision && e.stored.Before(other.stored)
}

// locks reports whether e keeps a door locked.
func (e entry) locks(now time.Time) bool {
	return e.order != nil && e.order.Kind == visit.OrderLockdown && e.order.InForce(now)
}

const (
	keyAll  = "all"
	keySite = "site."
)

// keyOf is where the bucket has an order. A site called "all" does not share the
// key of all sites.
func keyOf(kind visit.OrderKind, site string) string {
	if site == visit.AllSites {
		return string(kind) + "." + keyAll
	}
	return string(kind) + "." + keySite + site
}

// termsOf reads a key.
func termsOf(key string) (kind visit.OrderKind, site string, ok bool) {
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

// unreadable is the reason of a lockdown that stands in for an entry.
const unreadable = "the lockdown's entry in the bucket cannot be read"

// read takes in what the bucket has under a key.
func (e entry) read(value []byte) entry {
	o, err := parse(e.key, value)
	if err == nil {
		e.order = &o
		return e
	}
	e.fault = fmt.Errorf("%w: entry %q: %w", ErrInvalid, e.key, err)
	if kind, site, ok := termsOf(e.key); ok && kind == visit.OrderLockdown {
		e.order = &visit.Order{Kind: kind, Site: site, Reason: unreadable, Since: e.stored.UTC()}
	}
	return e
}

// parse quotes nothing of a value that may be anything.
func parse(key string, value []byte) (visit.Order, error) {
	kind, site, ok := termsOf(key)
	if !ok {
		return visit.Order{}, fmt.Errorf("the key is neither %s nor %s, nor the same of an %s",
			keyOf(visit.OrderLockdown, "<site>"), keyOf(visit.OrderLockdown, visit.AllSites), visit.OrderOverride)
	}
	var o visit.Order
	// The decoder would mend what is not UTF-8.
	if !utf8.Valid(value) || json.Unmarshal(value, &o) != nil {
		return visit.Order{}, fmt.Errorf("the value is not the JSON of an order")
	}
	if err := o.Check(); err != nil {
		return visit.Order{}, err
	}
	if o.Kind != kind || o.Site != site {
		return visit.Order{}, fmt.Errorf("the order belongs under the key %s", keyOf(o.Kind, o.Site))
	}
	// So that equal orders are equal by ==.
	o.Since, o.Until = o.Since.UTC(), o.Until.UTC()
	if _, err := json.Marshal(o); err != nil { // what cannot be kept must not be obeyed
		return visit.Order{}, fmt.Errorf("a time lies beyond the years 0 to 9999")
	}
	return o, nil
}

const headerOperation = "KV-Operation"

// entryOf reads a message of the bucket's stream.
func entryOf(key string, m jetstream.Msg, meta *jetstream.MsgMetadata) entry {
	e := entry{key: key, revision: meta.Sequence.Stream, stored: meta.Timestamp}
	operation := m.Headers().Get(headerOperation)
	if operation == "DEL" || operation == "PURGE" || m.Headers().Get(jetstream.MarkerReasonHeader) != "" {
		return e
	}
	return e.read(m.Data())
}
