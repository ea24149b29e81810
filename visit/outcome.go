package visit

import "errors"

// Why a question to a decider brought no decision.
var (
	// ErrNoDecider is returned when nobody listens for the question.
	ErrNoDecider = errors.New("no decider is listening")
	// ErrTimeout is returned when the time ran out.
	ErrTimeout = errors.New("no answer in time")
	// ErrBadReply is returned when the reply was an error or not a decision.
	ErrBadReply = errors.New("bad reply")
)

// Why a message could not be handed to NATS. ErrDisconnected and ErrDenied also
// apply to questions, ErrTimeout also to publishing.
var (
	// ErrDisconnected is returned when there was no connection to NATS, or it
	// dropped before the answer came.
	ErrDisconnected = errors.New("disconnected from NATS")
	// ErrDenied is returned when NATS refuses the subject to the relay's user.
	ErrDenied = errors.New("permission denied by NATS")
	// ErrStreamFull is returned when the stream has reached its limit.
	ErrStreamFull = errors.New("stream is full")
	// ErrStreamMissing is returned when no stream takes the subject, or it has
	// no leader.
	ErrStreamMissing = errors.New("no stream takes the subject")
	// ErrTooLarge is returned when the message exceeds a limit of NATS or of
	// the stream.
	ErrTooLarge = errors.New("message is too large")
)

// Receipt says where a message was stored.
type Receipt struct {
	Stream   string
	Sequence uint64
	// Duplicate is set when the stream already held the message, from an
	// earlier call and not from the publisher's own retry.
	Duplicate bool
	// Spooled is set when the message is not in a stream yet but synced to the
	// relay's own disk, from where it will go there. Stream and Sequence are
	// empty then.
	Spooled bool
}
