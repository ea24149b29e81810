package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// finding is what a look at a stream brought to light. While pending is set,
// nothing is known.
type finding struct {
	fault   error
	drift   drifts
	pending error
}

func (f finding) fit() bool { return f.fault == nil && f.pending == nil }

// look finds the stream, or creates it when it is absent.
func (k *keeper) look(ctx context.Context, want blueprint) finding {
	var info streamInfo
	err := k.api(ctx, "STREAM.INFO."+want.name, nil, &info)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return finding{fault: verify(want, info.Config), drift: compare(want, info.Config)}
	case errors.As(err, &refused) && refused.ErrorCode == codeStreamNotFound:
		return k.create(ctx, want)
	default:
		return failure(want, "look at", "STREAM.INFO."+want.name, err)
	}
}

func (k *keeper) create(ctx context.Context, want blueprint) finding {
	subject := "STREAM.CREATE." + want.name
	var info streamInfo
	if err := k.api(ctx, subject, want.config(), &info); err != nil {
		return failure(want, "create", subject, err)
	}
	k.log.Info("stream created", "stream", want.name, "subject", want.subject)
	return finding{fault: verify(want, info.Config), drift: compare(want, info.Config)}
}

// failure tells what passes from what a person must mend.
func failure(want blueprint, operation, subject string, err error) finding {
	err = fmt.Errorf("%s stream %s: %w", operation, want.name, err)
	var refused *jetstream.APIError
	switch {
	case errors.Is(err, visit.ErrDenied):
		return finding{fault: fmt.Errorf("%w: allow the relay's user to publish to %s%s, or, when the stream is absent, create it: nats stream add %s --subjects '%s' --storage file --discard new", err, apiPrefix, subject, want.name, want.subject)}
	case errors.Is(err, errNoJetStream):
		return finding{fault: fmt.Errorf("%w: enable JetStream on the NATS server and for the relay's account", err)}
	case errors.As(err, &refused) && (refused.ErrorCode == codeStorageResourcesExceeded || refused.ErrorCode == codeAccountResourcesExceeded):
		return finding{fault: fmt.Errorf("%w: raise max_file_store of NATS (or the account's limit) or lower the stream's byte limit of %d in the relay's settings", err, want.maxBytes)}
	case errors.As(err, &refused) && refused.Code < 500:
		return finding{fault: fmt.Errorf("%w: compare with nats stream ls --subjects", err)}
	default:
		return finding{pending: err}
	}
}
