package broker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// overlap returns a fault when any stream takes questions: it would answer
// them with its own acknowledgement. The error says that
// it cannot be known yet.
func (k *keeper) overlap(ctx context.Context) (fault, err error) {
	var names struct {
		Streams []string `json:"streams"`
	}
	err = k.api(ctx, "STREAM.NAMES", map[string]string{"subject": k.askAll}, &names)
	switch {
	case errors.Is(err, visit.ErrDenied):
		k.tell(fmt.Errorf("cannot check whether a stream covers the check-in requests on %s: allow the relay's user to publish to %sSTREAM.NAMES", k.askAll, apiPrefix))
		return nil, nil
	case errors.Is(err, errNoJetStream):
		return nil, nil // no stream at all, which is said of each that is wanted
	case err != nil:
		return nil, fmt.Errorf("look for streams on %s: %w", k.askAll, err)
	default:
		return overlapFault(names.Streams, k.askAll), nil
	}
}

func overlapFault(streams []string, askAll string) error {
	if len(streams) == 0 {
		return nil
	}
	return fmt.Errorf("stream %s: its subjects must not overlap %s, or it acknowledges and stores check-in requests: nats stream edit %s --subjects <without them>", strings.Join(streams, ", "), askAll, streams[0])
}

// examineOverlap does the same for somebody outside.
func examineOverlap(ctx context.Context, nc *nats.Conn, askAll string) error {
	data, err := json.Marshal(map[string]string{"subject": askAll})
	if err != nil {
		return err
	}
	var names struct {
		Streams []string `json:"streams"`
	}
	reply, err := request(ctx, nc, &nats.Msg{Subject: apiPrefix + "STREAM.NAMES", Data: data})
	if err == nil {
		err = readAPI("STREAM.NAMES", reply.Data, &names)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, errNoJetStream):
		return nil // no stream at all, which is said of each that is wanted
	case err != nil:
		return fmt.Errorf("look for streams on %s: %w", askAll, err)
	default:
		return overlapFault(names.Streams, askAll)
	}
}
