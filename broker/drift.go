package broker

import (
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// drift is a difference with which a stream still works. Nothing is changed:
// somebody may have meant it.
type drift struct {
	field, found, wanted, remedy string
}

type drifts []drift

// driftFields is the closed set of the gauge's label.
var driftFields = []string{
	"discard", "max_bytes", "max_age", "max_msgs", "max_msgs_per_subject", "max_msg_size",
	"duplicate_window", "num_replicas", "retention", "subject_transform",
}

func compare(want blueprint, found jetstream.StreamConfig) drifts {
	return slices.Concat(compareLimits(want, found), compareKind(want, found))
}

func compareLimits(want blueprint, found jetstream.StreamConfig) drifts {
	var d drifts
	if found.MaxBytes != want.maxBytes {
		d = append(d, drift{"max_bytes", limit(found.MaxBytes), limit(want.maxBytes), fmt.Sprintf("--max-bytes %d", want.maxBytes)})
	}
	if found.MaxAge != want.maxAge {
		d = append(d, drift{"max_age", age(found.MaxAge), age(want.maxAge), fmt.Sprintf("--max-age %s", want.maxAge)})
	}
	if found.MaxMsgs > 0 {
		d = append(d, drift{"max_msgs", limit(found.MaxMsgs), limit(-1), "--max-msgs -1"})
	}
	if found.MaxMsgsPerSubject > 0 {
		d = append(d, drift{"max_msgs_per_subject", limit(found.MaxMsgsPerSubject), limit(-1), "--max-msgs-per-subject -1"})
	}
	return d
}

func compareKind(want blueprint, found jetstream.StreamConfig) drifts {
	var d drifts
	if found.Discard != jetstream.DiscardNew {
		d = append(d, drift{"discard", "old (a full stream drops the oldest in silence)", "new", "--discard new"})
	}
	if found.Duplicates < want.dedupe {
		d = append(d, drift{"duplicate_window", age(found.Duplicates), age(want.dedupe), fmt.Sprintf("--dupe-window %s", want.dedupe)})
	}
	if found.Replicas != want.replicas {
		d = append(d, drift{"num_replicas", fmt.Sprint(found.Replicas), fmt.Sprint(want.replicas), fmt.Sprintf("--replicas %d", want.replicas)})
	}
	if found.Retention == jetstream.WorkQueuePolicy {
		d = append(d, drift{"retention", "workqueue (one reader takes a message from all others)", "limits", "--retention limits"})
	}
	if found.SubjectTransform != nil {
		d = append(d, drift{"subject_transform", "set (readers find no messages under their subjects)", "none", "--no-transform"})
	}
	return d
}

func (d drifts) lines(stream string) []string {
	var lines []string
	for _, one := range d {
		lines = append(lines, fmt.Sprintf("stream %s: %s is %s, wanted %s: nats stream edit %s %s", stream, one.field, one.found, one.wanted, stream, one.remedy))
	}
	return lines
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
