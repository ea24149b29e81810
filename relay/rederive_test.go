package relay

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// storedBy is the event that a relay stores for a body, as it comes out of the stream.
func storedBy(t *testing.T, path, body string, change ...func(*Integration)) *visit.Event {
	t.Helper()
	r := newRig(t, func(cfg *Config) {
		for _, c := range change {
			c(&cfg.Integrations[0])
		}
	})
	if w := r.post(path, body); w.Code != 200 || len(r.broker.published) != 1 {
		t.Fatalf("answered %d %s", w.Code, w.Body)
	}
	return eventOf(t, r.broker.published[0].Data)
}

func eventOf(t *testing.T, data []byte) *visit.Event {
	t.Helper()
	e := &visit.Event{}
	if err := json.Unmarshal(data, e); err != nil {
		t.Fatal(err)
	}
	return e
}

func inAdelaide(in *Integration) {
	zone, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		panic(err)
	}
	in.Zone = zone
}

const withoutZoneBody = ` {"event":"signin_after","date":"2026-11-18T08:12:31","data":{"id":"p-1","firstName":"Ada","lastName":"<L> & \ud800"}} `

// What a relay stored is what it reads of it, to the last byte, whatever the body.
func TestRederive_TheSameConfigurationCorrectsNothing(t *testing.T) {
	t.Parallel()
	bodies := map[string]string{
		"without a zone": withoutZoneBody, "without a date": `{"event":"signin_after"}`,
		"half a date": `{"event":"signout_after","date":"2026-11-18T21:42+10:30","data":{"status":"Expired"}}`,
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no bodies: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bodies[file] = string(body)
	}
	for name, body := range bodies {
		path := "/sine/lobby"
		if strings.Contains(body, "signin_before") || !strings.Contains(body, "sign") {
			path += "/check-in-success"
			if !strings.Contains(body, `"data"`) {
				continue // another product's
			}
		}
		for _, zone := range []func(*Integration){func(*Integration) {}, inAdelaide} {
			e := storedBy(t, path, body, zone)
			read, err := newReader(t, zone).Rederive(e)
			if err != nil || read.Correction != nil {
				t.Errorf("%s: %v, corrected to %+v", name, err, read.Correction)
			}
		}
	}
}

func TestRederive_ACorrectionKeepsWhatTheRelayNoted(t *testing.T) {
	t.Parallel()
	e := storedBy(t, "/sine/lobby", withoutZoneBody)
	e.Site, e.Synthetic, e.Trace = "annex", true, visit.NewTrace("0123456789abcdef-0", "")
	reader := newReader(t, inAdelaide)
	read, err := reader.Rederive(e)
	c := read.Correction
	if err != nil || c == nil || read.OtherKind != "" {
		t.Fatalf("%+v %v", read, err)
	}
	if want := "2026-11-18T08:12:31+10:30"; c.Time.Format(time.RFC3339) != want || c.TimeZone != "Australia/Adelaide" || c.TimeBasis != visit.TimeInAssumedZone {
		t.Errorf("it happened at %s, by %s in %s, want %s", c.Time, c.TimeBasis, c.TimeZone, want)
	}
	if c.Kind != e.Kind || c.Site != "annex" || c.Integration != "lobby" || c.RequestID != e.RequestID || !c.Synthetic || c.Trace != e.Trace ||
		!c.Received.Equal(e.Received) || string(c.Source) != withoutZoneBody || c.Visit != e.Visit {
		t.Errorf("%+v is not from the call of %+v", c, e)
	}
	if c.Corrects != e.ID || c.Revision != 1 || c.ID == e.ID {
		t.Errorf("%s corrects %s in revision %d", c.ID, c.Corrects, c.Revision)
	}

	// The correction, read from the stream, says what is true today.
	data, err := visit.MarshalEvent(c)
	if err != nil {
		t.Fatal(err)
	}
	c = eventOf(t, data)
	if again, err := reader.Rederive(c); err != nil || again.Correction != nil {
		t.Errorf("it is corrected again: %+v %v", again.Correction, err)
	}
	back, err := newReader(t, nil).Rederive(c)
	if err != nil || back.Correction == nil || back.Correction.Corrects != e.ID || back.Correction.Revision != 2 || !back.Correction.Time.Equal(e.Time) {
		t.Errorf("with the configuration of before: %+v %v", back.Correction, err)
	}
}

// Whoever reads events again need not have the environment of the relays.
func TestRederive_ADateWithoutAZoneStaysInThatOfTheEventWhereNoneIsConfigured(t *testing.T) {
	t.Parallel()
	assumed := func(in *Integration) { in.ZoneAssumed = true }
	e := storedBy(t, "/sine/lobby", withoutZoneBody, inAdelaide)
	for _, c := range []struct {
		name         string
		change       func(*Integration)
		stored, zone string
		ofEvent      bool
		corrected    bool
	}{
		{"none is configured", assumed, "Australia/Adelaide", "Australia/Adelaide", true, false},
		{"none is configured, and the event's is unknown here", assumed, "Mars/Olympus", "UTC", false, true},
		{"none is configured, and the event has none", assumed, "", "UTC", false, true},
		{"none is configured, and the event's is nobody else's", assumed, "Local", "UTC", false, true},
		{"another one is configured", func(in *Integration) { in.Zone = time.UTC }, "Australia/Adelaide", "UTC", false, true},
		{"one for dates is configured", func(in *Integration) {
			assumed(in)
			in.Fields, _ = fields.Compile(fields.Spec{DateZone: time.UTC})
		}, "Australia/Adelaide", "UTC", false, true},
	} {
		stored := *e
		stored.TimeZone = c.stored
		read, err := newReader(t, c.change).Rederive(&stored)
		if err != nil || read.Zone != c.zone || read.ZoneOfEvent != c.ofEvent || (read.Correction != nil) != c.corrected {
			t.Errorf("%s: %+v %v", c.name, read, err)
		}
	}
	zoned := storedBy(t, "/sine/lobby", strings.ReplaceAll(withoutZoneBody, `:31"`, `:31Z"`), inAdelaide)
	if read, err := newReader(t, assumed).Rederive(zoned); err != nil || read.Zone != "" || read.Correction != nil {
		t.Errorf("a date with a zone: %+v %v", read, err)
	}
}

func TestReader_ADateWithoutAZoneIsReadInThatOfTheRelayWhereNoneIsConfigured(t *testing.T) {
	t.Parallel()
	assumed := func(in *Integration) { in.ZoneAssumed = true }
	adelaide := time.Date(2026, 11, 17, 21, 42, 31, 0, time.UTC)
	utc := time.Date(2026, 11, 18, 8, 12, 31, 0, time.UTC)
	for _, c := range []struct {
		name   string
		change func(*Integration)
		noted  string
		want   time.Time
		zone   string
	}{
		{"none is configured", assumed, "Australia/Adelaide", adelaide, "Australia/Adelaide"},
		{"none is configured, and what the relay noted is unknown here", assumed, "Mars/Olympus", utc, "UTC"},
		{"none is configured, and an older relay noted none", assumed, "", utc, "UTC"},
		{"another one is configured", func(in *Integration) { in.Zone = time.UTC }, "Australia/Adelaide", utc, "UTC"},
		{"one for dates is configured", func(in *Integration) {
			assumed(in)
			in.Fields, _ = fields.Compile(fields.Spec{DateZone: time.UTC})
		}, "Australia/Adelaide", utc, "Australia/Adelaide"},
	} {
		q := kept(withoutZoneBody)
		q.TimeZone = c.noted
		e, err := newReader(t, c.change).Event(q)
		if err != nil || !e.Time.Equal(c.want) || e.TimeZone != c.zone {
			t.Errorf("%s: %+v %v", c.name, e, err)
		}
	}
}

// The relay notes the zone with what it quarantines.
func TestQuarantine_HasTheTimeZone(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *Config) { inAdelaide(&c.Integrations[0]) })
	r.post("/sine/lobby", `{"event":"unheard_of","data":{}}`)
	if len(r.broker.published) != 1 {
		t.Fatalf("published: %+v", r.broker.published)
	}
	m := r.broker.published[0]
	if q, err := visit.ParseQuarantined(m.Subject, m.Header, m.Data); err != nil || q.TimeZone != "Australia/Adelaide" {
		t.Errorf("%+v %v", q, err)
	}
}

// The URL's word was better than the body's, or the configuration was wrong: nobody knows
// any more.
func TestRederive_TheKindStays(t *testing.T) {
	t.Parallel()
	e := storedBy(t, "/sine/lobby/check-out-success", withoutZoneBody)
	read, err := newReader(t, inAdelaide).Rederive(e)
	if err != nil || read.OtherKind != visit.KindCheckedIn || read.Correction == nil || read.Correction.Kind != visit.KindCheckedOut || read.Correction.Cause != visit.CauseUnknown {
		t.Errorf("%+v %v", read, err)
	}
}

func TestRederive_AnEventThatCannotBeReadAgainIsAnError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*visit.Event)
		want   error
	}{
		"its source is redacted":      {func(e *visit.Event) { e.Source = visit.Source(" null\n") }, ErrNoSource},
		"its source is absent":        {func(e *visit.Event) { e.Source = nil }, ErrNoSource},
		"its integration is gone":     {func(e *visit.Event) { e.Integration = "attic" }, ErrUnknownIntegration},
		"its integration is invalid":  {func(e *visit.Event) { e.Integration = "faulty" }, ErrUnknownIntegration},
		"its source is no object":     {func(e *visit.Event) { e.Source = visit.Source(`"Zmark"`) }, ErrUnreadable},
		"its source is nested deeply": {func(e *visit.Event) { e.Source = visit.Source(strings.Repeat("[", 99) + strings.Repeat("]", 99)) }, ErrUnreadable},
		"its source has no pass":      {func(e *visit.Event) { e.Source = visit.Source(`{"visitor":"Zmark"}`) }, ErrUnreadable},
		"its source is no JSON":       {func(e *visit.Event) { e.Source = visit.Source(`{"firstName":"Zmark`) }, ErrUnreadable},
		"it was stored at no time":    {func(e *visit.Event) { e.Time = time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC) }, ErrUnreadable},
	} {
		reader, err := NewReader(testIntegrations(Integration{Name: "lobby", Site: "hq"}, Integration{Name: "faulty", Invalid: true}), testLimits)
		if err != nil {
			t.Fatal(err)
		}
		e := storedBy(t, "/sine/lobby", withoutZoneBody)
		c.change(e)
		read, err := reader.Rederive(e)
		if !errors.Is(err, c.want) || read.Correction != nil || strings.Contains(err.Error(), "Zmark") {
			t.Errorf("%s: %v, %+v", name, err, read.Correction)
		}
	}
}
