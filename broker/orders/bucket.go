package orders

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/visit"
)

const (
	// history is for whoever asks later what was ordered, and when.
	history = 10
	// maxValue is above what the longest texts take in JSON.
	maxValue = 16 << 10
	// duplicateWindow is NATS' default.
	duplicateWindow = 2 * time.Minute
)

// Open creates the bucket with so many replicas if it is absent. A bucket that is
// there stays as it is.
func Open(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) (*Book, error) {
	return OpenShared(ctx, js, dial.Alone(js.Conn()), bucket, replicas)
}

// OpenShared is Open on a connection that others use at once.
func OpenShared(ctx context.Context, js jetstream.JetStream, permitted dial.Permitted, bucket string, replicas int) (*Book, error) {
	return open(ctx, js, permitted, bucket, func(ctx context.Context) error { return create(ctx, js, bucket, replicas) })
}

// Find is for somebody who only looks. A bucket that was deleted must not come back
// empty by that: who finds it takes it for no orders.
func Find(ctx context.Context, js jetstream.JetStream, bucket string) (*Book, error) {
	return FindShared(ctx, js, dial.Alone(js.Conn()), bucket)
}

// FindShared is Find on a connection that others use at once.
func FindShared(ctx context.Context, js jetstream.JetStream, permitted dial.Permitted, bucket string) (*Book, error) {
	return open(ctx, js, permitted, bucket, func(context.Context) error {
		return fmt.Errorf("%w; %s", ErrNoBucket, byWhom)
	})
}

// byWhom says who creates a bucket that is not there.
const byWhom = "lockdown, override and lift create it where their user may, and an administrator does by nats stream add --config deploy/nats/streams/KV_VISITOR_ORDERS.json"

func open(ctx context.Context, js jetstream.JetStream, permitted dial.Permitted, bucket string, absent func(context.Context) error) (*Book, error) {
	b, missing := &Book{js: js, permitted: permitted, bucket: bucket}, false
	err := b.retry(ctx, toCreate(bucket), func(ctx context.Context) (err error) {
		b.kv, err = js.KeyValue(ctx, bucket)
		if !errors.Is(err, jetstream.ErrBucketNotFound) {
			return err
		}
		missing = true
		if err := absent(ctx); err != nil {
			return err
		}
		b.kv, err = js.KeyValue(ctx, bucket)
		return err
	})
	switch {
	case err == nil:
		return b, nil
	case missing && errors.Is(err, visit.ErrDenied):
		err = fmt.Errorf("no bucket, and no permission to create it; %s: %w", byWhom, err)
	case errors.Is(err, jetstream.ErrBadBucket):
		err = fmt.Errorf("%w: nats stream edit %s --max-msgs-per-subject %d, or create it as in deploy/nats/streams", err, streamOf(bucket), history)
	}
	return nil, fmt.Errorf("open bucket %s: %w", bucket, err)
}

// create makes the bucket. That it is there meanwhile is no error.
//
// It makes the stream itself, since every bucket that nats.go makes takes roll-ups:
// by one, whoever may write a single key takes all others away without a trace.
func create(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) error {
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name:        streamOf(bucket),
		Description: "Standing orders of the operator: lockdowns and overrides of sites.",
		Subjects:    []string{"$KV." + bucket + ".>"},
		Storage:     jetstream.FileStorage,
		Replicas:    replicas,
		// No TTL and no limit of bytes: a lockdown must neither go away by
		// itself nor be refused.
		MaxMsgsPerSubject: history,
		MaxMsgSize:        maxValue,
		MaxMsgs:           -1,
		MaxBytes:          -1,
		MaxConsumers:      -1,
		Discard:           jetstream.DiscardNew,
		Duplicates:        duplicateWindow,
		DenyDelete:        true,
		AllowDirect:       true,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

// Drift is a difference with which a bucket still works.
type Drift struct {
	Field, Found, Wanted, Remedy string
}

// verify returns what makes a bucket unfit: everything by which a lockdown could be
// lost, or be kept from being given, in silence.
func verify(bucket string, found jetstream.StreamConfig) error {
	var faults []string
	refuse := func(field string, found, wanted any) {
		faults = append(faults, fmt.Sprintf("%s is %v, wanted %v", field, found, wanted))
	}
	if found.Storage != jetstream.FileStorage {
		refuse("storage", "memory", "file")
	}
	if found.MaxAge > 0 {
		refuse("max_age", found.MaxAge, "unlimited (a lockdown would end by itself)")
	}
	if found.Discard == jetstream.DiscardOld && (found.MaxBytes > 0 || found.MaxMsgs > 0) {
		refuse("discard", "old with a limit", "new (a full bucket would drop lockdowns)")
	}
	if !slices.Contains(found.Subjects, "$KV."+bucket+".>") {
		refuse("subjects", strings.Join(found.Subjects, ","), "$KV."+bucket+".>")
	}
	if found.Mirror != nil || len(found.Sources) > 0 {
		refuse("mirror and sources", "set", "none (entries would come from elsewhere)")
	}
	if found.Sealed {
		refuse("sealed", true, false)
	}
	if found.NoAck {
		refuse("no_ack", true, false)
	}
	if found.PersistMode == jetstream.AsyncPersistMode {
		refuse("persist_mode", "async", "default")
	}
	if found.MaxMsgsPerSubject < 1 {
		refuse("max_msgs_per_subject", "unlimited", fmt.Sprintf("%d (no command could open the bucket, and whoever fills it could keep it from being read)", history))
	}
	if found.Retention != jetstream.LimitsPolicy {
		refuse("retention", found.Retention, "limits")
	}
	if faults == nil {
		return nil
	}
	return fmt.Errorf("%w: stream %s: %s: nats stream edit %s, or back it up and create it as in deploy/nats/streams",
		errUnfit, streamOf(bucket), strings.Join(faults, "; "), streamOf(bucket))
}

// errUnfit is what a bucket is that may lose a lockdown.
var errUnfit = errors.New("the bucket is unusable for standing orders")

// compare returns how a fit bucket differs from one that is created here.
func compare(replicas int, found jetstream.StreamConfig) []Drift {
	var d []Drift
	differs := func(different bool, field string, found, wanted any, remedy string) {
		if different {
			d = append(d, Drift{field, fmt.Sprint(found), fmt.Sprint(wanted), remedy})
		}
	}
	differs(found.MaxMsgsPerSubject != history, "max_msgs_per_subject", found.MaxMsgsPerSubject, history, fmt.Sprintf("--max-msgs-per-subject %d", history))
	differs(found.MaxBytes > 0, "max_bytes", found.MaxBytes, "unlimited", "--max-bytes -1")
	differs(found.MaxMsgs > 0, "max_msgs", found.MaxMsgs, "unlimited", "--max-msgs -1")
	differs(found.MaxMsgSize > 0 && found.MaxMsgSize < maxValue, "max_msg_size", found.MaxMsgSize, maxValue, fmt.Sprintf("--max-msg-size %d", maxValue))
	differs(found.Discard != jetstream.DiscardNew, "discard", "old", "new", "--discard new")
	differs(found.Replicas != replicas, "num_replicas", found.Replicas, replicas, fmt.Sprintf("--replicas %d", replicas))
	differs(found.AllowRollup, "allow_rollup_hdrs", true, "false (who may write one key could take all others away)", "--no-allow-rollup")
	differs(found.SubjectTransform != nil, "subject_transform", "set", "none", "--no-transform")
	return d
}

// look is what a reading finds out about the bucket before its entries.
type look struct {
	unfit error
	drift []Drift
	// limit is how many entries of a key it keeps, and keys how many keys it
	// has.
	limit int64
	keys  int
	// purged is set when it had entries and has none.
	purged bool
	last   uint64 // the revision of the last that it had
}

// Inspect returns how a bucket of that configuration differs from one that is made
// here, and as an error what makes it unfit: a lockdown could be lost in it.
func Inspect(bucket string, replicas int, found jetstream.StreamConfig) ([]Drift, error) {
	return compare(replicas, found), verify(bucket, found)
}

// inspect returns jetstream.ErrStreamNotFound when NATS says that there is no
// bucket.
func inspect(ctx context.Context, js jetstream.JetStream, bucket string, replicas int) (look, error) {
	stream, err := js.Stream(ctx, streamOf(bucket))
	if err != nil {
		return look{}, err
	}
	info := stream.CachedInfo()
	return look{
		unfit: verify(bucket, info.Config), drift: compare(replicas, info.Config),
		limit: info.Config.MaxMsgsPerSubject, keys: int(info.State.NumSubjects),
		purged: info.State.Msgs == 0 && info.State.LastSeq > 0, last: info.State.LastSeq,
	}, nil
}

const (
	// heartbeat is how often the server says that it still knows of the subscription;
	// when it is silent for twice as long, the subscription is dead.
	heartbeat = time.Second
	// leftAlone is when the server forgets a subscription that was stopped.
	leftAlone = 5 * time.Second
	// mostPerKey and mostAltogether bound what is read at once. The bucket
	// keeps ten entries of a key.
	mostPerKey     = 64
	mostAltogether = 100_000
)

// errGap means that something was lost on the way from the server.
var errGap = errors.New("messages of the server did not arrive")

// errTooMany means that somebody fills the bucket.
var errTooMany = errors.New("the bucket has too many entries")

func streamOf(bucket string) string { return "KV_" + bucket }
