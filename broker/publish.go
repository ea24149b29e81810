package broker

import (
	"context"
	"fmt"

	"github.com/sine-relay/sine-relay/visit"
)

// Publish stores a message in the stream of its root. It returns nil only on
// the stream's acknowledgement. Until ctx ends it tries again, with the same
// message id, what may pass: no connection, no stream, no leader, no reply. A
// message must carry an id in visit.HeaderMsgID, or a second attempt may store it
// twice. On an error nothing more is sent (but see the exception of package conn);
// the message may be stored all the same if a reply was lost. The errors are
//
//   - visit.ErrStreamMissing: no stream took the subject until ctx ended, or a
//     stream of another name does;
//   - visit.ErrDisconnected: there was no connection when ctx ended;
//   - visit.ErrTimeout: no reply came until ctx ended;
//   - visit.ErrStreamFull, visit.ErrTooLarge, visit.ErrDenied: at once;
//   - the error of ctx when it was cancelled.
//
// Receipt.Duplicate is not set for a repeat of this call's own making.
//
// Messages of one visit are stored one at a time, in the order of the calls.
//
// With a spool, a message that cannot be stored goes there, at once when there
// is no connection, and when the time is nearly up otherwise; and so does one
// behind another with the same ordering key that waits there. Then an error means
// that neither took it.
func (b *Broker) Publish(ctx context.Context, m visit.Message) (visit.Receipt, error) {
	receipt, err := b.outbox.Store(ctx, m)
	if err != nil {
		return visit.Receipt{}, fmt.Errorf("publish %s: %w", m.Subject, err)
	}
	return receipt, nil
}
