package streams

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/visit"
)

// finding is what an inspection of a stream found. While pending is set, nothing is
// known.
type finding struct {
	fault   error
	drift   drifts
	pending error
	batches bool // it allows atomic batches that pay, and they are wanted
	// obstacle is why it does not, and remedy what helps.
	obstacle, remedy string

	created bool // it was absent
	// replaced is set by whoever compares it with the one before.
	replaced bool
	// since is when the stream was created, by whomever.
	since  time.Time
	dedupe time.Duration
	level
}

// level is how much is in a stream, and how much it takes; 0 for no limit.
type level struct {
	bytes, limit, messages, messageLimit int64
	lastSequence                         uint64
}

func (f finding) fit() bool { return f.fault == nil && f.pending == nil }

func (f finding) status(stream string) Status {
	return Status{Name: stream, Verified: f.fit(), Fault: f.fault, Pending: f.pending, Drift: f.drift.lines(stream)}
}

// Inspect returns what the streams of a complete configuration are like. It creates
// and changes nothing.
func Inspect(ctx context.Context, c *conn.Conn, cfg Config) (all []Status) {
	for _, want := range specs(cfg) {
		all = append(all, inspect(ctx, c, want).status(want.name))
	}
	return all
}

func inspect(ctx context.Context, c *conn.Conn, want spec) finding {
	info, err := Get(ctx, c, want.name)
	switch {
	case IsAbsent(err):
		return finding{pending: Absent(want.name)}
	case err != nil:
		return failure(want, "look at", "STREAM.INFO."+want.name, conn.Detailed(err))
	default:
		return found(want, info)
	}
}

// Absent is what is pending for a stream that does not exist.
func Absent(stream string) error {
	return fmt.Errorf("stream %s does not exist; the relay creates it when it starts, if permitted", stream)
}

// inspectOrCreate inspects the stream, or creates it when it is absent.
func (r *Reconciler) inspectOrCreate(ctx context.Context, s *stream) finding {
	info, err := Get(ctx, r.conn, s.want.name)
	switch {
	case err == nil:
		return found(s.want, info)
	case !IsAbsent(err):
		return failure(s.want, "look at", "STREAM.INFO."+s.want.name, err)
	}
	known := r.wasVerified(s)
	if known {
		select {
		case <-time.After(afterDeletion):
		case <-ctx.Done():
		}
	}
	if r.lost != nil && s.acknowledged.Load() > 0 {
		r.lost(s.want.root) // before anything can be stored in another one
	}
	f := r.create(ctx, s.want)
	if f.created && !known {
		s.ours.Store(true)
	}
	return f
}

func (r *Reconciler) wasVerified(s *stream) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.verified
}

func (r *Reconciler) create(ctx context.Context, want spec) finding {
	// Before the first of them reserves more than a lower setting can take back.
	if want.room.small() {
		return finding{fault: want.roomFault()}
	}
	subject := "STREAM.CREATE." + want.name
	var info Info
	err := api(ctx, r.conn, subject, want.config(), &info)
	if want.batches && isInvalidJSON(err) { // a NATS that refuses a field that it does not know
		want.batches = false
		err = api(ctx, r.conn, subject, want.config(), &info)
	}
	if err != nil {
		return failure(want, "create", subject, err)
	}
	r.log.Info("stream created", "stream", want.name, "subject", want.subject)
	f := found(want, info)
	f.created = true
	return f
}

// Unused reports whether none of the streams had a message before this process came: each
// is absent or empty, or was created by it.
func (r *Reconciler) Unused(ctx context.Context) (bool, error) {
	for _, s := range r.streams {
		info, err := Get(ctx, r.conn, s.want.name)
		switch {
		case IsAbsent(err):
		case err != nil:
			return false, fmt.Errorf("check whether stream %s was used: %w", s.want.name, err)
		case info.State.LastSeq > 0 && !s.ours.Load():
			return false, nil
		}
	}
	return true, nil
}

func found(want spec, info Info) finding {
	why, remedy := obstacle(info.Config)
	return finding{
		fault: validate(want, info.Config), drift: compare(want, info.Config),
		batches: want.batches && why == "", obstacle: why, remedy: remedy, dedupe: info.Config.Duplicates,
		since: info.Created,
		level: level{
			int64(info.State.Bytes), max(0, info.Config.MaxBytes),
			int64(info.State.Msgs), max(0, info.Config.MaxMsgs),
			info.State.LastSeq,
		},
	}
}

// groupLevel is the API level of NATS 2.15, which syncs an atomic batch once. NATS from
// 2.12 on knows batches, and syncs each of their messages: they would be slower.
const groupLevel = 5

// obstacle says why atomic batches of a stream do not pay, or are not allowed, and what
// helps. Both are empty where they may be used. The server that replies adds its level.
func obstacle(found jetstream.StreamConfig) (why, remedy string) {
	level, err := strconv.Atoi(found.Metadata["_nats.level"])
	old := err != nil || level < groupLevel
	update, edit := "update NATS to 2.15 or newer", "nats stream edit "+found.Name+" --allow-batch"
	switch {
	case old && !found.AllowAtomicPublish:
		return "NATS is older than 2.15, and the stream does not allow atomic batches", update + ", then " + edit
	case old:
		return "NATS is older than 2.15", update
	case !found.AllowAtomicPublish:
		return "the stream does not allow atomic batches", edit
	}
	return "", ""
}

// failure distinguishes what passes from what a person must mend.
func failure(want spec, operation, subject string, err error) finding {
	err = fmt.Errorf("%s stream %s: %w", operation, want.name, err)
	remedy := remedyFor(want, subject, err)
	if remedy == "" {
		return finding{pending: err}
	}
	return finding{fault: fmt.Errorf("%w: %s", err, remedy)}
}

// remedyFor is empty for what may pass by itself.
func remedyFor(want spec, subject string, err error) string {
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
			return want.roomFault().Error()
		}
		return fmt.Sprintf("raise max_file_store of NATS (or the account's limit) or lower the stream's byte limit of %d in the relay's settings", want.maxBytes)
	case codeReplicasNotSupported, codeNoSuitablePeers:
		return fmt.Sprintf("lower the %d replicas in the relay's settings or enlarge the NATS cluster", want.replicas)
	case codeStreamNameExists:
		return "" // another relay was faster; the next inspection finds its stream
	}
	if refused.Code == 503 {
		return ""
	}
	return "see which streams take the subject: nats stream find --subject '" + want.subject + "'"
}

// roomFault is for a person who has set up no NATS, and cannot change the one in this
// process but by the relay's settings.
func (p spec) roomFault() error {
	if remedy := p.remedy(p.room); remedy != "" {
		return errors.New(remedy)
	}
	return p.room
}
