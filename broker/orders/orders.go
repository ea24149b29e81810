// Package orders keeps the operator's standing orders, lockdown and override, in
// a JetStream key-value bucket: [Book] gives and lifts them, [Watcher] follows
// them in every relay.
//
// It promises that an order is in every connected relay's [Watcher.Orders] within
// a second of being stored, and that in doubt a door stays locked: a lockdown
// ends when it is lifted or its time is over, and not because the bucket was
// lost, and a lockdown that cannot be read counts all the same. What an order
// means at the door, and connecting, are left to others.
//
// # The bucket
//
// An order of the site hq is under the key lockdown.site.hq or override.site.hq,
// one for all sites under lockdown.all or override.all. The value is
// [visit.Order] as JSON. What is lifted leaves a deletion marker. Expired orders
// stay until they are lifted or given anew.
//
// An entry that is no order, or one for another key, is reported and ignored,
// unless its key is a lockdown's: somebody meant to close that site, so it counts
// as a lockdown without message or end.
//
// # Permissions
//
// A relay's NATS user must be allowed to subscribe to its inbox, _INBOX.> unless
// the connection has another, and to publish to
//
//	$JS.API.CONSUMER.CREATE.KV_VISITOR_ORDERS.*.$KV.VISITOR_ORDERS.>
//	$JS.API.CONSUMER.MSG.NEXT.KV_VISITOR_ORDERS.*
//
// where VISITOR_ORDERS is the bucket. That does not let it give orders. An
// operator needs these too:
//
//	$JS.API.STREAM.INFO.KV_VISITOR_ORDERS
//	$KV.VISITOR_ORDERS.>
//
// Whoever comes first creates the bucket and needs, in addition,
//
//	$JS.API.INFO
//	$JS.API.STREAM.CREATE.KV_VISITOR_ORDERS
//
// A relay that lacks the last two takes an absent bucket for an empty one, and
// waits for an operator to create it.
package orders

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrNotInForce is returned for lifting an order that the bucket does not have,
// or that had ended by itself.
var ErrNotInForce = errors.New("the order was not in force")

// ErrInvalid is wrapped by every report of an entry that cannot be read as the
// order that its key stands for.
var ErrInvalid = errors.New("not a valid order")

const (
	// history is for whoever asks later what was ordered, and when.
	history = 10
	// maxValue is above what the longest texts take in JSON.
	maxValue = 16 << 10
)

// create makes the bucket. That it is there meanwhile is no error.
func create(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) error {
	_, err := js.CreateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket:       bucket,
		Description:  "Standing orders of the operator: lockdowns and overrides of sites.",
		Storage:      jetstream.FileStorage,
		History:      history,
		MaxValueSize: maxValue,
		Replicas:     replicas,
		// No TTL and no limit of bytes: a lockdown must neither go away by
		// itself nor be refused.
	})
	if errors.Is(err, jetstream.ErrBucketExists) {
		return nil
	}
	return err
}
