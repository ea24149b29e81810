//go:build linux && faults

package faults

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// event is something that a sender says, once or several times in the same bytes.
type event struct {
	// id is what the contract calls the event, or empty for what is not one.
	id    string
	kind  visit.Kind // empty likewise
	visit string     // Sine's id of the visit, or empty
	path  string     // after the integration's
	body  []byte
}

// isEvent reports whether the relay can read it.
func (f *event) isEvent() bool { return f.kind != "" }

// author writes bodies that nobody else writes.
type author struct {
	rng  *rand.Rand
	name string
	last int
}

func (a *author) next() string {
	a.last++
	return fmt.Sprintf("%s-%d", a.name, a.last)
}

// checkIn is a visit's first event. Some of Sine's ids are not fit for a header.
func (a *author) checkIn() *event {
	id := a.next()
	if a.rng.IntN(8) == 0 {
		id += "/é ü"
	}
	return a.event(visit.KindCheckedIn, id)
}

func (a *author) checkOut(in *event) *event { return a.event(visit.KindCheckedOut, in.visit) }

// pass is an event without an id of Sine's.
func (a *author) pass() *event {
	kind := visit.KindCheckedIn
	if a.rng.IntN(2) == 0 {
		kind = visit.KindCheckedOut
	}
	return a.event(kind, "")
}

var names = map[visit.Kind]struct{ event, path string }{
	visit.KindCheckedIn:  {"signin_after", "/check-in-success"},
	visit.KindCheckedOut: {"signout_after", "/check-out-success"},
}

func (a *author) event(kind visit.Kind, id string) *event {
	date := time.Date(2026, 11, 18, 12, 0, a.last, a.rng.IntN(1000)*int(time.Millisecond), time.UTC)
	written, token := date.Format(time.RFC3339Nano), fmt.Sprintf("%q", date.Format(time.RFC3339Nano))
	if a.rng.IntN(4) == 0 {
		written = fmt.Sprint(date.UnixMilli())
		token = written
	}
	f := &event{kind: kind, visit: id, body: a.write(names[kind].event, token, id)}
	if a.rng.IntN(2) == 0 {
		f.path = names[kind].path
	}
	f.id = visit.EventID("default", kind, visit.Fingerprint{PassID: id, Date: written, PreciseDate: true, Body: f.body})
	return f
}

// write spells an event in one of the many ways that JSON allows.
func (a *author) write(event, date, id string) []byte {
	tokens := []string{"{", `"event"`, ":", quote(event), ",", `"date"`, ":", date, ",", `"data"`, ":", "{"}
	if id != "" {
		tokens = append(tokens, `"visitId"`, ":", quote(id), ",")
	}
	tokens = append(tokens, `"firstName"`, ":", a.text(12), ",", `"notes"`, ":", a.text(a.size()), ",",
		`"numbers"`, ":", "[", "1.50", ",", "1e400", ",", "-0", ",", "12345678901234567890", "]", "}", ",",
		`"mark"`, ":", quote(a.next()), ",", `"mark"`, ":", "null", "}")
	var b bytes.Buffer
	for _, token := range tokens {
		b.WriteString(a.space())
		b.WriteString(token)
	}
	b.WriteString(a.space())
	return b.Bytes()
}

func quote(s string) string { return `"` + s + `"` }

var (
	spaces = []string{"", "", "", " ", "\n", "\t ", "\r\n    "}
	pieces = []string{"a", "Ada ", "0", "é", "日本", "<b>&", `\u003c`, `\/`, `\"`, `\\`, `\n`, `\u2028`, "\u2028", `\ud83d\ude00`, "😀", `\ud800`, `\u0000`, "'"}
)

func (a *author) space() string { return spaces[a.rng.IntN(len(spaces))] }

// text is a JSON string of that many pieces.
func (a *author) text(length int) string {
	var b strings.Builder
	for range length {
		b.WriteString(pieces[a.rng.IntN(len(pieces))])
	}
	return quote(b.String())
}

// size of most bodies is of a kilobyte; a few are of the largest that Sine may
// send.
func (a *author) size() int {
	switch n := a.rng.IntN(100); {
	case n == 0:
		return 20_000
	case n < 10:
		return 2_000
	default:
		return a.rng.IntN(300)
	}
}

// nonsense goes to the quarantine.
func (a *author) nonsense() *event {
	mark := a.next()
	f := &event{}
	switch a.rng.IntN(3) {
	case 0:
		f.body = []byte("visitor=" + mark + "\x00\xff\xfe\r\n")
	case 1:
		f.body = []byte(`{"event":"signin_after","mark":"` + mark + `","data":{`)
	default:
		f.body = []byte(` {"event":"badge_printed" , "mark":"` + mark + `"}` + "\n")
		return f // on a URL that names an event, it is one
	}
	if a.rng.IntN(2) == 0 {
		f.path = names[visit.KindCheckedIn].path
	}
	return f
}
