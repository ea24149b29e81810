package broker

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// overlap returns a fault when any stream takes questions: it would answer
// them with its own acknowledgement, before every decider. The error says that
// it cannot be known yet.
func (k *keeper) overlap(ctx context.Context) (fault, err error) {
	var names struct {
		Streams []string `json:"streams"`
	}
	err = k.api(ctx, "STREAM.NAMES", map[string]string{"subject": k.askAll}, &names)
	switch {
	case errors.Is(err, visit.ErrDenied):
		k.tell(fmt.Errorf("whether a stream takes the questions on %s cannot be known: allow the relay's user to publish to %sSTREAM.NAMES", k.askAll, apiPrefix))
		return nil, nil
	case errors.Is(err, errNoJetStream):
		return nil, nil // no stream at all, which is said of each that is wanted
	case err != nil:
		return nil, fmt.Errorf("look for streams on %s: %w", k.askAll, err)
	case len(names.Streams) == 0:
		return nil, nil
	default:
		return fmt.Errorf("stream %s: its subjects overlap %s, wanted none that does, since it would answer for the deciders: nats stream edit %s --subjects <without them>", strings.Join(names.Streams, ", "), k.askAll, names.Streams[0]), nil
	}
}
