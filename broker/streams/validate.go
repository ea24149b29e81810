package streams

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/visit"
)

// validate returns what makes a stream unusable: everything by which an
// acknowledged message could be lost or none be stored. Each fault names the
// stream, the field, what was found and wanted, and the remedy.
func validate(want spec, found jetstream.StreamConfig) error {
	var faults []string
	refuse := func(field string, found, wanted any, remedy string) {
		faults = append(faults, fmt.Sprintf("stream %s: %s is %v, wanted %v: %s", want.name, field, found, wanted, remedy))
	}
	edit := func(flags string) string { return "nats stream edit " + want.name + " " + flags }
	anew := "it cannot be changed; nats backup stream " + want.name + " DIRECTORY, then nats stream rm " + want.name + ", and the relay creates it"
	if found.Storage != jetstream.FileStorage {
		refuse("storage", "memory", "file", anew)
	}
	if !covers(found.Subjects, want.subject) {
		refuse("subjects", strings.Join(found.Subjects, ","), want.subject, edit("--subjects '"+want.subject+"'"))
	}
	if found.MaxMsgSize > 0 && int64(found.MaxMsgSize) < want.largest {
		refuse("max_msg_size", found.MaxMsgSize, fmt.Sprintf("at least %d", want.largest), edit("--max-msg-size -1")+", or lower the relay's body limit")
	}
	if found.Sealed {
		refuse("sealed", true, false, anew)
	}
	if found.NoAck {
		refuse("no_ack", true, false, edit("--ack"))
	}
	// Acknowledges what a kill -9 then loses.
	if found.PersistMode == jetstream.AsyncPersistMode {
		refuse("persist_mode", "async", "default", anew)
	}
	// Acknowledges a message that no consumer waits for, and forgets it.
	if found.Retention == jetstream.InterestPolicy {
		refuse("retention", "interest", "limits", anew)
	}
	if faults == nil {
		return nil
	}
	return errors.New(strings.Join(faults, "; "))
}

// covers reports whether one of the subjects takes everything that filter does.
func covers(subjects []string, filter string) bool {
	for _, s := range subjects {
		if covered(strings.Split(s, "."), strings.Split(filter, ".")) {
			return true
		}
	}
	return false
}

func covered(subject, filter []string) bool {
	for i, token := range subject {
		switch {
		case token == ">":
			return len(filter) > i
		case i >= len(filter) || filter[i] == ">":
			return false
		case token != "*" && token != filter[i]:
			return false
		}
	}
	return len(subject) == len(filter)
}

// Overlap returns a fault when a stream covers the subjects of the check-in requests:
// it would reply to them with its own acknowledgement. The error says that it is not
// known.
func Overlap(ctx context.Context, c *conn.Conn, requests string) (fault, err error) {
	var names struct {
		Streams []string `json:"streams"`
	}
	err = api(ctx, c, "STREAM.NAMES", map[string]string{"subject": requests}, &names)
	switch {
	case errors.Is(err, errNoJetStream):
		return nil, nil // no stream at all, which is reported for each that is wanted
	case err != nil:
		return nil, fmt.Errorf("look for streams on %s: %w", requests, err)
	case len(names.Streams) == 0:
		return nil, nil
	default:
		return fmt.Errorf("stream %s: its subjects must not overlap %s, or it acknowledges and stores check-in requests: nats stream edit %s --subjects <without them>", strings.Join(names.Streams, ", "), requests, names.Streams[0]), nil
	}
}

// NoStream is the name of a stream that does not exist: a message that is to be stored
// in it and nowhere else is refused by every other.
const NoStream = "SINE_RELAY_REHEARSAL"

// Preflight returns nil when a stream would store a message on the subject. It sends
// one that must be refused, and stores nothing.
func Preflight(ctx context.Context, c *conn.Conn, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	reply, err := c.Request(ctx, &nats.Msg{Subject: subject, Header: nats.Header{jetstream.ExpectedStreamHeader: {NoStream}}})
	switch {
	case err != nil:
		return err
	case conn.IsNoResponders(reply):
		return visit.ErrStreamMissing
	}
	_, err = ParseAck(reply.Data, NoStream)
	if errors.Is(err, visit.ErrStreamMissing) {
		return nil // "I am not that stream": it is there, and listens
	}
	return fmt.Errorf("the reply is not the acknowledgement of a stream: %w", err)
}

// Drift is a difference with which a stream still works. Nothing is changed: it may be
// meant.
type Drift struct{ Field, Found, Wanted, Remedy string }

type drifts []Drift

// driftFields is the closed set of the gauge's label.
var driftFields = []string{
	"discard", "max_bytes", "max_age", "max_msgs", "max_msgs_per_subject", "max_msg_size",
	"duplicate_window", "num_replicas", "retention", "subject_transform",
}

func compare(want spec, found jetstream.StreamConfig) drifts {
	return slices.Concat(compareLimits(want, found), compareKind(want, found))
}

func compareLimits(want spec, found jetstream.StreamConfig) drifts {
	var d drifts
	if found.MaxBytes != want.maxBytes {
		d = append(d, Drift{"max_bytes", limit(found.MaxBytes), limit(want.maxBytes), fmt.Sprintf("--max-bytes %d", want.maxBytes)})
	}
	if found.MaxAge != want.maxAge {
		d = append(d, Drift{"max_age", age(found.MaxAge), age(want.maxAge), fmt.Sprintf("--max-age %s", want.maxAge)})
	}
	if found.MaxMsgs > 0 {
		d = append(d, Drift{"max_msgs", limit(found.MaxMsgs), limit(-1), "--max-msgs -1"})
	}
	if found.MaxMsgsPerSubject > 0 {
		d = append(d, Drift{"max_msgs_per_subject", limit(found.MaxMsgsPerSubject), limit(-1), "--max-msgs-per-subject -1"})
	}
	return d
}

func compareKind(want spec, found jetstream.StreamConfig) drifts {
	var d drifts
	if found.Discard != jetstream.DiscardNew {
		d = append(d, Drift{"discard", "old (a full stream drops the oldest in silence)", "new", "--discard new"})
	}
	if found.Duplicates < want.dedupe {
		d = append(d, Drift{"duplicate_window", age(found.Duplicates), age(want.dedupe), fmt.Sprintf("--dupe-window %s", want.dedupe)})
	}
	if found.Replicas != want.replicas {
		d = append(d, Drift{"num_replicas", fmt.Sprint(found.Replicas), fmt.Sprint(want.replicas), fmt.Sprintf("--replicas %d", want.replicas)})
	}
	if found.Retention == jetstream.WorkQueuePolicy {
		d = append(d, Drift{"retention", "workqueue (one reader takes a message from all others)", "limits", "--retention limits"})
	}
	if found.SubjectTransform != nil {
		d = append(d, Drift{"subject_transform", "set (readers find no messages under their subjects)", "none", "--no-transform"})
	}
	return d
}

func (d drifts) lines(stream string) []string {
	var lines []string
	for _, one := range d {
		lines = append(lines, one.Line(stream))
	}
	return lines
}

// Line says how the stream differs, and with which command it is changed.
func (d Drift) Line(stream string) string {
	return fmt.Sprintf("stream %s: %s is %s, wanted %s: nats stream edit %s %s", stream, d.Field, d.Found, d.Wanted, stream, d.Remedy)
}

func limit(n int64) string {
	if n <= 0 {
		return "unlimited"
	}
	return fmt.Sprint(n)
}

func age(d time.Duration) string {
	if d <= 0 {
		return "unlimited"
	}
	return d.String()
}
