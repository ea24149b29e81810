package streams

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

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
