package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// Error codes of JetStream, named as in nats-server's errors.json.
const (
	codeAccountResourcesExceeded = 10002
	codeNoSuitablePeers          = 10005
	codeInsufficientResources    = 10023
	codeMemoryResourcesExceeded  = 10028
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
)

// errNoAck is a reply to a message that is no acknowledgement: something else than
// a stream listens to the subject and answers.
var errNoAck = errors.New("the reply is not an acknowledgement")

// errStoresNothing is wrapped where a stream is there, and does not store.
var errStoresNothing = errors.New("the stream stores nothing")

// readAck returns the acknowledgement of the stream, or what the answer means
// instead.
func readAck(data []byte, stream string) (*jetstream.PubAck, error) {
	var reply struct {
		Error *jetstream.APIError `json:"error"`
		jetstream.PubAck
	}
	if err := json.Unmarshal(data, &reply); err != nil {
		return nil, errNoAck
	}
	if reply.Error != nil {
		return nil, refusalOfStream(reply.Error, reply.Stream, stream)
	}
	if reply.Stream != stream || reply.Sequence == 0 {
		return nil, errNoAck
	}
	return &reply.PubAck, nil
}

// refusalOfStream turns JetStream's error into visit's. It is a setback when it
// may pass.
func refusalOfStream(e *jetstream.APIError, found, expected string) error {
	switch e.ErrorCode {
	case codeAccountResourcesExceeded, codeInsufficientResources, codeMemoryResourcesExceeded, codeStorageResourcesExceeded:
		return fmt.Errorf("%w: %s", visit.ErrStreamFull, e.Description)
	case codeMessageExceedsMaximum, codeHeaderExceedsMaximum:
		return fmt.Errorf("%w: %s", visit.ErrTooLarge, e.Description)
	case codeStreamNotMatch:
		return fmt.Errorf("%w: expected %s, but it is stored by %s", visit.ErrStreamMissing, expected, found)
	case codeStreamSealed:
		return fmt.Errorf("%w: %w: %s is sealed", visit.ErrStreamMissing, errStoresNothing, expected)
	case codeStoreFailed:
		return storeFailure(e)
	case codeDuplicateInProcess:
		return &setback{cause: fmt.Errorf("%w: %s", visit.ErrTimeout, e.Description)}
	}
	if e.Code >= 500 {
		return &setback{cause: fmt.Errorf("%w: %s: %s", visit.ErrStreamMissing, expected, e.Description)}
	}
	return fmt.Errorf("stream %s refuses: %s (%d)", expected, e.Description, e.ErrorCode)
}

// storeFailure reads the description: one code stands for a stream that is full
// and for a store that fails.
func storeFailure(e *jetstream.APIError) error {
	switch {
	case strings.Contains(e.Description, "exceeded"), strings.Contains(e.Description, "no space left"):
		return fmt.Errorf("%w: %s", visit.ErrStreamFull, e.Description)
	case strings.Contains(e.Description, "too large"), strings.Contains(e.Description, "to large"):
		return fmt.Errorf("%w: %s", visit.ErrTooLarge, e.Description)
	default:
		return &setback{cause: fmt.Errorf("%w: %w: %s", visit.ErrStreamMissing, errStoresNothing, e.Description)}
	}
}
