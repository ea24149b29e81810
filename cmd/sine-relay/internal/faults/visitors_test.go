//go:build linux && faults

package faults

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// visitorRate is how many check-in requests there are in a second.
	visitorRate = 40
	// slowness is the pause within the body of every eighth.
	slowness = 700 * time.Millisecond
	// tooLate is far above what a visitor may have to wait.
	tooLate = 20 * time.Second
)

// visitors come to the relays in turn, every third of them barred.
type visitors struct {
	rig   *rig
	count atomic.Int64

	mu  sync.Mutex
	sum doorVerdict
}

// doorVerdict is what visitors were answered. The counts from wrong on are
// faults; turnedAway are those whom a fallback rejects.
type doorVerdict struct {
	asked, admitted, rejected, turnedAway int
	longest                               time.Duration

	wrong, unanswered int
	notes             []string
}

func (v *doorVerdict) clean() bool { return v.wrong+v.unanswered == 0 && v.longest < tooLate }

func (v *doorVerdict) note(format string, args ...any) {
	if len(v.notes) < maxNotes {
		v.notes = append(v.notes, fmt.Sprintf(format, args...))
	}
}

// answer is a body that Sine gets.
type answer struct{ Code, Message string }

// comeIn sends visitors until stopped.
func (r *rig) comeIn() (v *visitors, stop func()) {
	v = &visitors{rig: r}
	return v, openLoop(visitorRate, v.one)
}

func (v *visitors) one() {
	number := v.count.Add(1)
	at, life := v.rig.relays[int(number)%len(v.rig.relays)].where()
	if at.webhook == "" {
		return // it does not run
	}
	mayEnter, name := true, "Lovelace"
	if number%3 == 0 {
		mayEnter, name = false, barred
	}
	start := time.Now()
	body := io.Reader(strings.NewReader(fmt.Sprintf(`{"event":"signin_before","data":{"firstName":"Ada","lastName":%q}}`, name)))
	if number%8 == 0 {
		body = &slowBody{rest: body, pause: slowness}
	}
	said, err := v.ask(at.webhook, body)
	took := time.Since(start)
	if _, now := v.rig.relays[int(number)%len(v.rig.relays)].where(); err != nil && now != life {
		return // it ended meanwhile
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.sum.add(mayEnter, said, took, err)
}

func (v *doorVerdict) add(mayEnter bool, said answer, took time.Duration, err error) {
	v.asked++
	v.longest = max(v.longest, took)
	byDecider := strings.Contains(said.Message, atTheGate)
	switch {
	case err != nil:
		v.unanswered++
		v.note("no answer after %s: %v", took, err)
	case said.Code == "SUCCESS" && mayEnter:
		v.admitted++
	case said.Code == "REJECTED" && byDecider && !mayEnter:
		v.rejected++
	case said.Code == "REJECTED" && !byDecider:
		v.turnedAway++
		v.note("turned away after %s: %q", took, said.Message)
	default:
		v.wrong++
		v.note("may enter: %t, and the answer is %q, %q", mayEnter, said.Code, said.Message)
	}
}

func (v *visitors) ask(url string, body io.Reader) (said answer, err error) {
	req, err := http.NewRequest(http.MethodPost, url, body)
	if err != nil {
		return said, err
	}
	req.Header.Set("X-Sine-Auth", v.rig.key)
	reply, err := v.rig.load.client.Do(req)
	if err != nil {
		return said, err
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d %s", reply.StatusCode, text)
	}
	if err == nil {
		err = json.Unmarshal(text, &said)
	}
	return said, err
}

// slowBody is a body that comes over a bad line: one byte, a pause, and the rest.
type slowBody struct {
	rest  io.Reader
	begun bool
	pause time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	if !b.begun {
		b.begun = true
		return b.rest.Read(p[:1])
	}
	if b.pause > 0 {
		hold(b.pause)
		b.pause = 0
	}
	return b.rest.Read(p)
}

// answered is how many visitors have their answer.
func (v *visitors) answered() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.sum.asked
}

func (v *visitors) verdict() *doorVerdict {
	v.mu.Lock()
	defer v.mu.Unlock()
	sum := v.sum
	return &sum
}
