//go:build linux && faults

package faults

import (
	"context"
	"errors"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/visit"
)

// What is done to a real stream behind everybody's back shows too.
func TestTheAuditNoticesWhatHappenedToAStream(t *testing.T) {
	t.Parallel()
	r := newRig(t, layout{})
	r.load.start(r.senders, 1)
	r.must(r.more(warmUp))
	r.load.stop()
	if v := r.audit(); !v.clean() || v.stored < warmUp/2 {
		t.Fatalf("%d are stored: %q", v.stored, v.notes)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stream, err := r.auditor.js.Stream(ctx, visit.DefaultEventStream)
	r.must(err)
	all, err := r.auditor.messages(visit.DefaultEventStream)
	r.must(errors.Join(err, stream.DeleteMsg(ctx, all[0].sequence)))
	again := all[1]
	again.header.Set(visit.HeaderMsgID, "made up") // or it would be dropped
	_, err = r.auditor.js.PublishMsg(ctx, &nats.Msg{Subject: again.subject, Header: again.header, Data: again.data})
	r.must(err)
	want := verdict{missing: 1, strange: 1}
	if v := r.audit(); v.faults() != want.faults() {
		t.Errorf("%v: %q", v.faults(), v.notes)
	}
}
