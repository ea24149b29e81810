package subscribertest

import (
	"crypto/sha256"
	"encoding/base32"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// The site and the integration of the visits here, and the site's time zone. Package
// relaytest has a relay with the same.
const (
	Site        = "hq"
	Integration = "default"
	TimeZone    = "Australia/Adelaide"
)

// Visit is a made-up visit. Change its fields to make another one. Its methods say what
// Sine and the relay make of it; each returns the same every time, unless Sine sends no
// date.
type Visit struct {
	// Pass is what Sine says about the visitor.
	visit.Pass
	// ID is Sine's id of the visit, or empty where it sends none.
	ID string
	// Time is when the visitor asks to check in, and is checked in; the check-out is
	// eight hours later. TimeBasis is how Sine writes it: with a zone, without one, or
	// not at all.
	Time      time.Time
	TimeBasis visit.TimeBasis
	// Site, Integration and TimeZone are the relay's, and ExternalID is what Sine
	// sends as such.
	Site, Integration, TimeZone, ExternalID string
	// Cause is why the pass ends. With CauseUnknown Sine does not say.
	Cause visit.Cause
	// Extra has further fields that Sine sends, names and JSON by turns. They are found
	// in Source alone.
	Extra []string
}

// At is the same visit at another time of the day, by the clock of the site.
func (v Visit) At(hour, minute int) Visit {
	year, month, day := v.Time.In(v.zone()).Date()
	v.Time = time.Date(year, month, day, hour, minute, 0, 0, v.zone())
	return v
}

// stay is from the check-in to the check-out, and delivery from a time that Sine writes to
// the receipt.
const (
	stay     = 8 * time.Hour
	delivery = 480 * time.Millisecond
)

// CheckInRequest is what a decider gets. Sine names no visit before there is a pass.
func (v Visit) CheckInRequest() visit.CheckInRequest {
	body := v.Body(visit.KindCheckInRequest)
	v.ID = ""
	return visit.CheckInRequest{Origin: v.origin(body, v.Time), Pass: v.Pass, Missing: v.missing(), Source: body}
}

// CheckedIn is the event of the check-in.
func (v Visit) CheckedIn() visit.Event { return v.event(visit.KindCheckedIn, v.Time) }

// CheckedOut is the event of the check-out.
func (v Visit) CheckedOut() visit.Event {
	e := v.event(visit.KindCheckedOut, v.Time.Add(stay))
	e.Cause = v.Cause
	return e
}

func (v Visit) event(k visit.Kind, at time.Time) visit.Event {
	body := v.Body(k)
	id := visit.EventID(v.Integration, k, visit.Fingerprint{
		PassID: v.ID, Date: v.date(at), PreciseDate: v.TimeBasis != visit.TimeReceived, Body: body,
	})
	return visit.Event{ID: id, Kind: k, Origin: v.origin(body, at), Pass: v.Pass, Missing: v.missing(), Source: body}
}

func (v Visit) origin(body []byte, at time.Time) visit.Origin {
	at = at.Truncate(time.Millisecond).UTC()
	o := visit.Origin{
		RequestID: requestID(body), Site: v.Site, Integration: v.Integration, ExternalID: v.ExternalID,
		Time: at, TimeBasis: v.TimeBasis, TimeZone: v.TimeZone, Received: at.Add(delivery), Visit: visit.NewVisitKey(v.ID),
	}
	switch v.TimeBasis {
	case visit.TimeInAssumedZone:
		o.Time = at.Truncate(time.Second).In(v.zone())
	case visit.TimeReceived:
		o.Time = o.Received
	}
	return o
}

// missing is what an integration expects unless it says otherwise: a name.
func (v Visit) missing() []string {
	if visit.IsBlank(v.Person.FirstName) && visit.IsBlank(v.Person.LastName) {
		return []string{"person.firstName", "person.lastName"}
	}
	return nil
}

// zone is the site's; UTC where it has none, as in a relay.
func (v Visit) zone() *time.Location {
	zone, err := time.LoadLocation(v.TimeZone)
	if err != nil {
		return time.UTC
	}
	return zone
}

// requestID has the form of a relay's, and is the same for the same body.
func requestID(body []byte) string {
	const alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	sum := sha256.Sum256(body)
	return base32.NewEncoding(alphabet).EncodeToString(sum[:])[:20]
}
