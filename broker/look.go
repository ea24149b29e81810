package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// finding is what a look at a stream brought to light. While pending is set,
// nothing is known.
type finding struct {
	fault   error
	drift   drifts
	pending error
	level
}

// level is how much is in a stream, and how much it takes; 0 for no limit.
type level struct {
	bytes, limit, messages, messageLimit int64
	lastSequence                         uint64
}

func (f finding) fit() bool { return f.fault == nil && f.pending == nil }

// look finds the stream, or creates it when it is absent.
func (k *keeper) look(ctx context.Context, s *stream) finding {
	want := s.want
	var info streamInfo
	err := k.api(ctx, "STREAM.INFO."+want.name, nil, &info)
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return found(want, info)
	case errors.As(err, &refused) && refused.ErrorCode == codeStreamNotFound:
		if k.had(s) {
			select {
			case <-time.After(afterDeletion):
			case <-ctx.Done():
			}
		}
		return k.create(ctx, want)
	default:
		return failure(want, "look at", "STREAM.INFO."+want.name, err)
	}
}

// had reports whether the stream was there before.
func (k *keeper) had(s *stream) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return s.verified
}

func (k *keeper) create(ctx context.Context, want blueprint) finding {
	// Before the first of them reserves more than a lower setting can take back.
	if want.room != nil && want.room.small() {
		return finding{fault: errors.New(want.room.remedy())}
	}
	subject := "STREAM.CREATE." + want.name
	var info streamInfo
	if err := k.api(ctx, subject, want.config(), &info); err != nil {
		return failure(want, "create", subject, err)
	}
	k.log.Info("stream created", "stream", want.name, "subject", want.subject)
	return found(want, info)
}

func found(want blueprint, info streamInfo) finding {
	return finding{
		fault: verify(want, info.Config), drift: compare(want, info.Config),
		level: level{
			int64(info.State.Bytes), max(0, info.Config.MaxBytes),
			int64(info.State.Msgs), max(0, info.Config.MaxMsgs),
			info.State.LastSeq,
		},
	}
}

// failure tells what passes from what a person must mend.
func failure(want blueprint, operation, subject string, err error) finding {
	err = fmt.Errorf("%s stream %s: %w", operation, want.name, err)
	remedy := remedyFor(want, subject, err)
	if remedy == "" {
		return finding{pending: err}
	}
	return finding{fault: fmt.Errorf("%w: %s", err, remedy)}
}

// remedyFor is empty for what may pass by itself.
func remedyFor(want blueprint, subject string, err error) string {
	if errors.Is(err, visit.ErrDenied) {
		return fmt.Sprintf("allow the relay's user to publish to %s%s, or, when the stream is absent, create it: nats stream add %s --subjects '%s' --storage file --discard new", apiPrefix, subject, want.name, want.subject)
	}
	if errors.Is(err, errNoJetStream) {
		return "enable JetStream on the NATS server and for the relay's account"
	}
	var refused *jetstream.APIError
	if !errors.As(err, &refused) {
		return ""
	}
	switch refused.ErrorCode {
	case codeStorageResourcesExceeded, codeAccountResourcesExceeded:
		if want.room != nil {
			return want.room.remedy()
		}
		return fmt.Sprintf("raise max_file_store of NATS (or the account's limit) or lower the stream's byte limit of %d in the relay's settings", want.maxBytes)
	case codeReplicasNotSupported, codeNoSuitablePeers:
		return fmt.Sprintf("lower the %d replicas in the relay's settings or enlarge the NATS cluster", want.replicas)
	case codeStreamNameExists:
		return "" // another relay was faster; the next look finds its stream
	}
	if refused.Code == 503 {
		return ""
	}
	return "see which streams take the subject: nats stream find --subject '" + want.subject + "'"
}

func (r *room) small() bool { return r.limit > 0 && r.wanted > r.limit }

// remedy is for somebody who has set up no NATS, and cannot change the one in this
// process but by the relay's settings.
func (r *room) remedy() string {
	return fmt.Sprintf("the volume of SINE_RELAY_NATS_STORE_DIR is too small for the embedded NATS, which reserves what its streams may take: "+
		"they may take %d MiB, and there was room for %d MiB at the start, three quarters of what was free; give it a larger volume, "+
		"or lower SINE_RELAY_EVENT_STREAM_MAX_BYTES, SINE_RELAY_DECISION_STREAM_MAX_BYTES and SINE_RELAY_QUARANTINE_STREAM_MAX_BYTES to %[2]d MiB together",
		r.wanted/mib, r.limit/mib)
}
