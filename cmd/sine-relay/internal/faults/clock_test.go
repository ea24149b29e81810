//go:build linux && faults

package faults

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// clockVariable names a file of eight bytes, which a relay with a clock that
// steps adds to the seconds of its wall clock. Its monotonic clock goes on.
const clockVariable = "FAULTS_CLOCK"

// steppedClock is added to the package time of such a relay.
const steppedClock = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var clockStep = mapClockStep()

func mapClockStep() *int64 {
	name, _ := syscall.Getenv("` + clockVariable + `")
	fd, err := syscall.Open(name, syscall.O_RDONLY, 0)
	if err != nil {
		return new(int64)
	}
	data, err := syscall.Mmap(fd, 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	return (*int64)(unsafe.Pointer(&data[0]))
}

func steppedNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = runtimeNow()
	return sec + atomic.LoadInt64(clockStep), nsec, mono
}
`

// buildStepped builds the relay with such a clock.
var buildStepped = sync.OnceValues(func() (string, error) {
	program := filepath.Join(programsDir, "stepped", "sine-relay")
	overlay, err := steppedTime(filepath.Join(programsDir, "stepped"))
	if err != nil {
		return "", err
	}
	out, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, "github.com/sine-relay/sine-relay/cmd/sine-relay").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("build a relay whose clock steps: %w: %s", err, out)
	}
	return program, err
})

// steppedTime writes an overlay in which the package time reads that clock.
func steppedTime(dir string) (file string, err error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return "", err
	}
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(source, "time.go"))
	if err != nil {
		return "", err
	}
	const original, stepped = "sec, nsec, mono := runtimeNow()", "sec, nsec, mono := steppedNow()"
	if strings.Count(string(text), original) != 1 {
		return "", fmt.Errorf("%s does not read the clock as it did", filepath.Join(source, "time.go"))
	}
	overlay := map[string]map[string]string{"Replace": {
		filepath.Join(source, "time.go"): filepath.Join(dir, "time.go"),
		filepath.Join(source, "step.go"): filepath.Join(dir, "step.go"),
	}}
	index, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	for name, content := range map[string]string{
		"time.go":      strings.Replace(string(text), original, stepped, 1),
		"step.go":      steppedClock,
		"overlay.json": string(index),
	} {
		if err := writeInto(dir, name, content); err != nil {
			return "", err
		}
	}
	return filepath.Join(dir, "overlay.json"), nil
}

func writeInto(dir, name, content string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)
}

// setClock has the wall clock of a relay be wrong by so much, from now on.
func (r *relay) setClock(off time.Duration) error {
	file, err := os.OpenFile(r.clock, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(off/time.Second)), 0)
	return err
}

// clockSteps has the wall clocks of the relays step to and fro.
func clockSteps(r *fixture, lasting time.Duration, _ int) error {
	steps := []time.Duration{3 * time.Second, 0, -3 * time.Second, time.Hour, -time.Hour, 0}
	for _, off := range steps {
		if err := each(r.relays, func(one *relay) error { return one.setClock(off) }); err != nil {
			return err
		}
		hold(lasting / time.Duration(len(steps)))
	}
	return nil
}

// clockBehindAtTheStart is a machine that boots without a battery for its clock,
// and learns the time a little later. What JetStream stored in between would be
// too old from then on.
func clockBehindAtTheStart(r *fixture, lasting time.Duration, pick int) error {
	const years = 3 * 365 * 24 * time.Hour
	one := r.oneRelay(pick)
	one.mu.Lock()
	defer one.mu.Unlock()
	err := errors.Join(one.terminate(), one.setClock(-years), one.start(r.programs), r.more(warmUp))
	hold(lasting)
	return errors.Join(err, one.setClock(0))
}

// clockStepsDuringALoss has the wall clock of a relay be set back by an hour between what
// NATS loses and what comes while the relay may not store anything.
func clockStepsDuringALoss(r *fixture, lasting time.Duration, pick int) error {
	r.rights.Lock()
	defer r.rights.Unlock()
	admit := func(auth string) error { return each(r.nodes, func(n *node) error { return n.reload(auth) }) }
	one := r.oneRelay(pick)
	err := errors.Join(one.setClock(time.Hour), r.more(warmUp), admit(passwords(relayPassword, "visitors.v1.event.>")))
	err = errors.Join(err, one.setClock(0), storeEmptied(r, lasting, pick), r.more(warmUp))
	hold(lasting)
	return errors.Join(err, admit(passwords(relayPassword)))
}
