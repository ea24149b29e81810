package relay

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Why a stored event cannot be read again.
var (
	// ErrNoSource is returned for an event without the body that Sine sent: an
	// installation may leave it out.
	ErrNoSource = errors.New("the event has no source")
	// ErrUnknownIntegration is returned for an event of an integration that is not
	// configured.
	ErrUnknownIntegration = errors.New("the integration is not configured")
	// ErrUnreadable is returned for an event whose source the relay would quarantine
	// today.
	ErrUnreadable = errors.New("the source is not understood")
)

// Rederived is what the configuration of today makes of a stored event.
type Rederived struct {
	// Correction is the event as it would be stored today, as a correction of the
	// stored one. It is nil where both say the same.
	Correction *visit.Event
	// OtherKind is the kind that the body names where the event is stored as another one,
	// by the URL or by the configuration of that day, and else empty. A correction keeps
	// the stored kind, and with it the subject.
	OtherKind visit.Kind
	// Zone is that in which a date was read that has none of its own, or empty. ZoneOfEvent
	// is set where it is that with which the event is stored.
	Zone        string
	ZoneOfEvent bool
}

// Rederive reads the source of a stored event, or of a correction, again. Its typed
// fields and its time are those of today, in its own time zone where none is chosen for the
// integration; its kind, its site and what the relay noted when
// the webhook came are kept. The error wraps [ErrNoSource], [ErrUnknownIntegration] or
// [ErrUnreadable], and holds nothing of the body.
func (r *Reader) Rederive(stored *visit.Event) (Rederived, error) {
	in := r.integrations[stored.Integration]
	if in == nil || in.Invalid {
		return Rederived{}, ErrUnknownIntegration
	}
	if source := bytes.TrimSpace(stored.Source); len(source) == 0 || string(source) == "null" {
		return Rederived{}, ErrNoSource
	}
	d, reason := in.Fields.Read(stored.Source, r.limits.JSONDepth)
	if reason == "" {
		_, reason = in.kind(stored.Kind, d)
	}
	if reason != "" {
		return Rederived{}, fmt.Errorf("%w: %s", ErrUnreadable, reason)
	}
	read := Rederived{}
	in, ofEvent := in.InZoneOf(stored.TimeZone)
	read.ZoneOfEvent = ofEvent && in.Fields.Spec().DateZone == nil
	x := &exchange{
		in: in, id: stored.RequestID, trace: stored.Trace, start: stored.Received, kind: stored.Kind,
		synthetic: stored.Synthetic, resubmitted: true,
	}
	e := x.newEvent(d)
	e.Site = stored.Site
	if e.TimeBasis == visit.TimeInAssumedZone {
		read.Zone = cmp.Or(in.Fields.Spec().DateZone, in.Zone).String()
	}
	if named := in.kindOf(d.Event); named != stored.Kind {
		read.OtherKind = named
	}
	same, err := saysTheSame(stored, e)
	if err == nil && !same {
		err = e.Correct(stored)
		read.Correction = e
	}
	if err != nil {
		return Rederived{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return read, nil
}

// InZoneOf is the integration as it was when the relay noted a time zone, and whether that
// makes a difference: it does where none is chosen for the integration, and this machine
// knows it. The environment of whoever reads a body again need not be that of the relay.
func (in *Integration) InZoneOf(noted string) (*Integration, bool) {
	if !in.ZoneAssumed || noted == "" {
		return in, false
	}
	zone, err := time.LoadLocation(noted)
	if err != nil || zone == time.Local {
		return in, false
	}
	own := *in
	own.Zone = zone
	return &own, true
}

// saysTheSame compares all that two events of one source say.
func saysTheSame(a, b *visit.Event) (bool, error) {
	var said [2][]byte
	for i, e := range []*visit.Event{a, b} {
		content := *e
		content.ID, content.Corrects, content.Revision, content.Source = "", "", 0, nil
		var err error
		if said[i], err = visit.MarshalEvent(&content); err != nil {
			return false, err
		}
	}
	return bytes.Equal(said[0], said[1]), nil
}
