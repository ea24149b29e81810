package relay

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/sine-relay/sine-relay/visit"
)

// beforeStep returns the present as it was read before somebody set the wall clock
// forward by that many seconds, or back where there are fewer than none. Its
// monotonic reading is right. Nothing of package time makes such a reading: the
// seconds since 1885 are in bits 30 to 62 of its first word.
func beforeStep(t *testing.T, seconds int64) time.Time {
	t.Helper()
	now := time.Now()
	word := (*uint64)(unsafe.Pointer(&now))
	*word -= uint64(seconds) << 30
	step := time.Duration(seconds) * time.Second
	if wall := time.Now().Round(0).Sub(now.Round(0)) - step; wall.Abs() > timeout {
		t.Fatalf("the wall clock differs by %s from what it should", wall)
	}
	if since := time.Since(now); since.Abs() > timeout {
		t.Fatalf("the monotonic clock differs by %s", since)
	}
	return now
}

func TestClock_TheWallClockIsSetWhileABodyArrives(t *testing.T) {
	t.Parallel()
	for name, seconds := range map[string]int64{"forward": 3600, "back": -3600} {
		for what, body := range map[string]string{"a visitor": checkInBody, "an event": checkedIn} {
			t.Run(name+", "+what, func(t *testing.T) {
				r := newRig(t)
				r.now = func() time.Time { return beforeStep(t, seconds) }
				deadlines := make(chan time.Time, 1)
				r.broker.ask = func(ctx context.Context, _ visit.Message) (visit.Decision, error) {
					deadline, _ := ctx.Deadline()
					deadlines <- deadline
					return visit.Decision{Verdict: visit.Accept}, nil
				}
				conn := send(t, r.serve(t), request("/sine/lobby", len(body), body[:20]))
				if _, err := conn.Write([]byte(body[20:])); err != nil {
					t.Fatal(err)
				}
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				var said struct{ Code string }
				if err := json.NewDecoder(answer.Body).Decode(&said); err != nil || said.Code != "SUCCESS" {
					t.Errorf("answered %d %q, %v", answer.StatusCode, said.Code, err)
				}
				if body == checkInBody {
					if left := time.Until(<-deadlines); left <= 0 || left > r.Integrations()[0].Budget {
						t.Errorf("a decider had %s", left)
					}
				}
				r.wantTook(t)
			})
		}
	}
}

// wantTook checks that the log line of the one call has a time that it can have
// taken.
func (r *rig) wantTook(t *testing.T) {
	t.Helper()
	var line struct{ Ms float64 }
	eventually(t, "the call is logged", func() bool { return strings.Contains(r.log.String(), `"msg":"webhook"`) })
	for text := range strings.Lines(r.log.String()) {
		if !strings.Contains(text, `"msg":"webhook"`) {
			continue
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil || line.Ms < 0 || line.Ms > float64(timeout.Milliseconds()) {
			t.Errorf("the call took %v ms, %v", line.Ms, err)
		}
	}
}

func TestClock_WhatIsWrittenIsInUTC(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.now = func() time.Time { return time.Now().In(time.FixedZone("", 3600)) }
	r.post("/sine/lobby", `{"event":"signin_after","data":{}}`)
	r.post("/sine/lobby", checkInBody)
	eventually(t, "the decision is recorded", func() bool { r.broker.mu.Lock(); defer r.broker.mu.Unlock(); return len(r.broker.records) > 0 })
	r.post("/sine/lobby", "hello")
	r.broker.mu.Lock()
	defer r.broker.mu.Unlock()
	all := slices.Concat(r.broker.published, r.broker.asked, r.broker.records)
	if len(all) < 4 {
		t.Fatalf("%d messages", len(all))
	}
	for _, m := range all {
		written := string(m.Data)
		for _, values := range m.Header {
			written += " " + strings.Join(values, " ")
		}
		if strings.Contains(written, "+01:00") {
			t.Errorf("%s has a local time: %s", m.Subject, written)
		}
	}
}

// A clock of the relay's own is far from the machine's: what is written down goes by it,
// and no deadline does.
func TestClock_OfTheConfigurationIsWrittenDown(t *testing.T) {
	t.Parallel()
	christmas := time.Date(2031, 12, 25, 8, 0, 0, 0, time.UTC)
	r := newRig(t, func(c *Config) { c.Clock = func() time.Time { return christmas } })
	asked := make(chan visit.CheckInRequest, 1)
	r.broker.ask = func(ctx context.Context, m visit.Message) (visit.Decision, error) {
		if deadline, _ := ctx.Deadline(); time.Until(deadline) <= 0 || time.Until(deadline) > time.Minute {
			t.Errorf("the deadline is %s", deadline)
		}
		var q visit.CheckInRequest
		err := json.Unmarshal(m.Data, &q)
		asked <- q
		return visit.Decision{Verdict: visit.Accept}, err
	}
	if answer := r.post("/sine/lobby", checkInBody); answer.Code != http.StatusOK {
		t.Errorf("answered %d", answer.Code)
	}
	if q := <-asked; !q.Received.Equal(christmas) {
		t.Errorf("received at %s", q.Received)
	}
}
