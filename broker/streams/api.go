package streams

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn"
)

const (
	apiPrefix = "$JS.API."
	// apiTimeout bounds one request to JetStream's API.
	apiTimeout = 5 * time.Second
)

var errNoJetStream = errors.New("JetStream is not enabled")

// Info is the part of JetStream's reply that is read.
type Info struct {
	Config  jetstream.StreamConfig `json:"config"`
	Created time.Time              `json:"created"`
	State   struct {
		Bytes   uint64 `json:"bytes"`
		Msgs    uint64 `json:"messages"`
		LastSeq uint64 `json:"last_seq"`
	} `json:"state"`
}

// Get returns the configuration and the state of a stream.
func Get(ctx context.Context, c *conn.Conn, stream string) (info Info, err error) {
	return info, api(ctx, c, "STREAM.INFO."+stream, nil, &info)
}

// IsAbsent reports whether err is JetStream's that there is no such stream.
func IsAbsent(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.ErrorCode == codeStreamNotFound
}

// NoRoom reports whether err is JetStream's that a stream may not reserve what it may take.
func NoRoom(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == codeStorageResourcesExceeded || refused.ErrorCode == codeAccountResourcesExceeded)
}

func isInvalidJSON(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && refused.ErrorCode == codeInvalidJSON
}

// api makes one request to JetStream. nats.go's own waits out its time when a
// subject is denied or the connection drops.
func api(ctx context.Context, c *conn.Conn, subject string, request, response any) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	var data []byte
	if request != nil {
		var err error
		if data, err = json.Marshal(request); err != nil {
			return err
		}
	}
	reply, err := c.Request(ctx, &nats.Msg{Subject: apiPrefix + subject, Data: data})
	if err != nil {
		return err
	}
	if conn.IsNoResponders(reply) {
		return errNoJetStream
	}
	var status struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &status); err != nil {
		return fmt.Errorf("read the reply to %s: %w", subject, err)
	}
	switch e := status.Error; {
	case e == nil:
		return json.Unmarshal(reply.Data, response)
	case e.ErrorCode == codeNotEnabled || e.ErrorCode == codeNotEnabledForAccount:
		return errNoJetStream
	default:
		return e
	}
}

// Error codes of JetStream, named as in nats-server's errors.json.
const (
	codeAccountResourcesExceeded = 10002
	codeNoSuitablePeers          = 10005
	codeInsufficientResources    = 10023
	codeMemoryResourcesExceeded  = 10028
	codeInvalidJSON              = 10025
	codeNotEnabledForAccount     = 10039
	codeStorageResourcesExceeded = 10047
	codeMessageExceedsMaximum    = 10054
	codeStreamNameExists         = 10058
	codeStreamNotFound           = 10059
	codeStreamNotMatch           = 10060
	codeReplicasNotSupported     = 10074
	codeNotEnabled               = 10076
	codeStoreFailed              = 10077
	codeHeaderExceedsMaximum     = 10097
	codeStreamSealed             = 10109
	codeDuplicateInProcess       = 10158
	codeAtomicPublishDisabled    = 10174
	codeAtomicPublishTooLarge    = 10199
)

// ErrNoAck is a reply to a message that is not an acknowledgement: something else than
// a stream listens to the subject and replies.
var ErrNoAck = errors.New("the reply is not an acknowledgement")

// Retryable is an error after which another attempt to publish may succeed.
type Retryable struct {
	Cause error
	// AtOnce is set where the attempt took its time already.
	AtOnce bool
}

func (r *Retryable) Error() string { return fmt.Sprintf("may be retried: %v", r.Cause) }

var (
	// ErrNoBatches is what a stream without atomic batches replies to one.
	ErrNoBatches = errors.New("the stream does not allow atomic batches")
	// ErrBatchTooLarge is what a server replies to a batch of too many messages.
	ErrBatchTooLarge = errors.New("the atomic batch has too many messages")
)

// errStoresNothing is wrapped where a stream is there, and does not store.
var errStoresNothing = errors.New("the stream stores nothing")

// Ack says where a message was stored.
type Ack struct {
	Stream    string
	Sequence  uint64 // of the last message, where it was a batch
	Duplicate bool
	// Batch is how many messages the batch had, or 0.
	Batch uint64
}

// ParseAck returns the acknowledgement of the stream, or what the reply means
// instead.
func ParseAck(data []byte, stream string) (*Ack, error) {
	if sequence, ok := plainAck(data, stream); ok {
		return &Ack{Stream: stream, Sequence: sequence}, nil
	}
	var reply struct {
		Error     *jetstream.APIError `json:"error"`
		Stream    string              `json:"stream"`
		Sequence  uint64              `json:"seq"`
		Duplicate bool                `json:"duplicate"`
		Batch     uint64              `json:"count"`
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, ErrNoAck
	}
	if reply.Error != nil {
		return nil, refusalOfStream(reply.Error, reply.Stream, stream)
	}
	if reply.Stream != stream || reply.Sequence == 0 {
		return nil, ErrNoAck
	}
	return &Ack{reply.Stream, reply.Sequence, reply.Duplicate, reply.Batch}, nil
}

// plainAck reads what NATS writes for a message that it stored, which is nearly all that
// there is to read: encoding/json takes ten times as long.
func plainAck(data []byte, stream string) (sequence uint64, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"stream":"`))
	if !ok || !bytes.HasPrefix(rest, []byte(stream)) {
		return 0, false
	}
	rest, ok = bytes.CutPrefix(rest[len(stream):], []byte(`","seq":`))
	digits, end := bytes.CutSuffix(rest, []byte("}"))
	if !ok || !end || len(digits) == 0 || len(digits) > 18 || digits[0] == '0' {
		return 0, false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		sequence = 10*sequence + uint64(d-'0')
	}
	return sequence, true
}

// longestAck is more than any acknowledgement has.
const longestAck = 4096

// AcknowledgedBy reports whether the reply to a check-in request is a stream's
// acknowledgement, or its error, and returns the stream's name. A reply with a decision
// is neither.
func AcknowledgedBy(reply *nats.Msg) (stream string, is bool) {
	var r struct {
		Decision json.RawMessage `json:"decision"`
		Stream   string          `json:"stream"`
		Sequence *uint64         `json:"seq"`
		Error    *struct {
			Code      int `json:"code"`
			ErrorCode int `json:"err_code"`
		} `json:"error"`
	}
	if !mayBeAck(reply.Data) || json.Unmarshal(reply.Data, &r) != nil || r.Decision != nil {
		return "", false
	}
	stores := r.Stream != "" && r.Sequence != nil
	refuses := r.Error != nil && r.Error.Code > 0 && r.Error.ErrorCode > 0
	if !stores && !refuses {
		return "", false
	}
	if len(r.Stream) > 255 || !plainStream.MatchString(r.Stream) {
		return "(unnamed)", true // its name may be anything
	}
	return r.Stream, true
}

// mayBeAck spares most decisions from being read twice: a stream writes these names as
// they stand here.
func mayBeAck(data []byte) bool {
	return len(data) <= longestAck && (bytes.Contains(data, []byte(`"seq"`)) || bytes.Contains(data, []byte(`"err_code"`)))
}

// plainStream are the names of streams that are shown. An expression that counted their
// letters would take 240 KiB.
var plainStream = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// AcknowledgesRequests is the fault of a stream that replied to a check-in request.
func AcknowledgesRequests(stream, subject string) error {
	return fmt.Errorf("stream %s acknowledges check-in requests on %s: its acknowledgements are ignored, but it keeps personal data, and that nobody decides is not known at once: nats stream edit %s --subjects <without them>", stream, subject, stream)
}
