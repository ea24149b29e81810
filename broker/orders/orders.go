// Package orders keeps the operator's standing orders, lockdown and override, in
// a JetStream key-value bucket: [Book] gives and lifts them, [Watcher] follows
// them in every relay.
//
// It promises that an order is in every connected relay's [Watcher.Orders] within
// a second of being stored, and that in doubt a door stays locked: a lockdown
// ends when it is lifted or its time is over, and not because the bucket was
// lost, purged or filled with other things. What is known grows old, and then
// [Watcher.Orders] says that it is not known. What an order means at the door, and
// connecting, are left to others.
//
// # The bucket
//
// An order of the site hq is under the key lockdown.site.hq or override.site.hq,
// one for all sites under lockdown.all or override.all. The value is
// [visit.Order] as JSON. What ends it is another entry under the same key, a
// [visit.Lift] that names it; a new order under the key replaces it. Expired orders
// stay until they are lifted or given anew.
//
// # What counts
//
// Whoever may make a request in the bucket's account can have its answer stored
// under any key: NATS does not hold a reply subject against permissions. So an
// entry counts only if it is an order or a lift for its own key, carries no header
// that NATS adds to what it copies, is as old as it says, and is not an order that
// has ended before. Anything else is reported and changes nothing: the last entry
// that counts is in force. A deletion lifts nothing. Where a lockdown's key has
// nothing that counts, and something that did may have been pushed out of the
// bucket's history, the orders of its site are not known until somebody gives or
// lifts one there.
//
// # Permissions
//
// A relay's NATS user must be allowed to subscribe to its inbox, _INBOX.> unless
// the connection has another, and to publish to
//
//	$JS.API.STREAM.INFO.KV_VISITOR_ORDERS
//	$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.*
//	$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS.*
//
// where VISITOR_ORDERS is the bucket. That does not let it give orders, nor put back
// what the bucket has lost: who may write a lockdown's key may lift it. So a relay
// says what it obeys, and an operator gives that again, or lifts it by its id. An
// operator needs
//
//	$JS.API.STREAM.INFO.KV_VISITOR_ORDERS
//	$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.*.$KV.VISITOR_ORDERS.>
//	$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS.*
//	$KV.VISITOR_ORDERS.>
//
// Whoever comes first creates the bucket and needs, in addition,
//
//	$JS.API.STREAM.CREATE.KV_VISITOR_ORDERS
//
// An absent bucket says nothing about orders: a relay that may not create it waits
// for somebody who does.
package orders

import (
	"errors"
	"strings"

	"github.com/sine-relay/sine-relay/broker/orders/ledger"
)

// ErrNotInForce is returned for lifting an order that the bucket does not have,
// or that had ended by itself.
var ErrNotInForce = errors.New("the order was not in force")

// ErrNoBucket is wrapped by [Find] where there is no bucket. Relays may obey orders
// from before it was deleted.
var ErrNoBucket = errors.New("no bucket: no order was ever given, or it was deleted")

// ErrUnconfirmed is wrapped where an order or a lift was sent and nobody said what
// became of it: it may be stored.
var ErrUnconfirmed = errors.New("not confirmed by NATS")

// ErrInvalid is wrapped by every report of an entry that counts for nothing.
var ErrInvalid = ledger.ErrInvalid

// toLook reports whether a subject is needed to look at the bucket, which tells the time
// as well.
func toLook(bucket string) func(subject string) bool {
	return func(subject string) bool { return strings.HasSuffix(subject, ".STREAM.INFO."+streamOf(bucket)) }
}

// toFollow reports whether a subject is needed to follow the orders: for the consumer,
// and to look at the bucket.
func toFollow(bucket string) func(subject string) bool {
	look := toLook(bucket)
	return func(subject string) bool {
		return look(subject) ||
			strings.Contains(subject, ".CONSUMER.") && strings.Contains(subject+".", "."+streamOf(bucket)+".")
	}
}

// toCreate reports the same for the bucket itself, which may have to be made first.
func toCreate(bucket string) func(subject string) bool {
	look := toLook(bucket)
	return func(subject string) bool {
		return look(subject) || strings.HasSuffix(subject, ".STREAM.CREATE."+streamOf(bucket))
	}
}

// toPut reports the same for an entry under a key, for which NATS is asked for the time.
func toPut(bucket, key string) func(subject string) bool {
	look := toLook(bucket)
	return func(subject string) bool { return look(subject) || strings.HasSuffix(subject, "$KV."+bucket+"."+key) }
}
