//go:build linux && faults

package faults

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// filesBounded makes the writes to a spool fail, as on a full disk. The relay
// must have the role for it.
func filesBounded(r *fixture, lasting time.Duration, pick int) error {
	one := r.oneRelay(pick)
	one.mu.Lock()
	defer one.mu.Unlock()
	pid := one.process.cmd.Process.Pid
	err := limitFiles(pid, 1<<10)
	hold(lasting)
	return errors.Join(err, limitFiles(pid, 1<<62))
}

// segments are the files in which a relay's spool keeps its messages, oldest first.
func (r *relay) segments() []string {
	files, _ := filepath.Glob(filepath.Join(r.spool, "*.log")) // the pattern is good
	return files
}

// spoolRemoved takes the files of a spool away, or its directory, while the relay
// has it open, and returns once what waits is at its path again.
func spoolRemoved(r *fixture, _ time.Duration, pick int) error {
	one := r.oneRelay(pick)
	one.mu.Lock()
	defer one.mu.Unlock()
	from := one.out.length()
	away := fmt.Sprint(one.spool, ".away-", from)
	var err error
	switch pick % 3 {
	case 0:
		for _, segment := range one.segments() {
			err = errors.Join(err, os.Remove(segment))
		}
	case 1: // at once: one by one, the relay would make them anew meanwhile
		err = errors.Join(os.Rename(one.spool, away), os.RemoveAll(away))
	default:
		err = os.Rename(one.spool, away)
	}
	return errors.Join(err, await("the spool is opened anew", func() bool {
		return strings.Contains(one.out.since(from), "were removed, replaced or damaged while it was open")
	}))
}

// harm is done to a segment of a spool, of which so many bytes are in use.
type harm func(file *os.File, size int64, rng *rand.Rand) error

// truncated cuts off between a tenth and nearly all.
func truncated(file *os.File, size int64, rng *rand.Rand) error {
	return file.Truncate(size/100 + rng.Int64N(size*9/10))
}

// overwritten puts noise over some of it.
func overwritten(file *os.File, size int64, rng *rand.Rand) error {
	noise := make([]byte, 100+rng.IntN(20_000))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	_, err := file.WriteAt(noise, rng.Int64N(size))
	return err
}

// spoolDamaged kills a relay, harms what is in its spool and starts it again:
// what can be read must still be kept, and nothing be deleted. What was overwritten
// at the very end cannot be told from a write that a crash has cut off.
func spoolDamaged(do harm) fault {
	return func(r *fixture, lasting time.Duration, pick int) error {
		one := r.oneRelay(pick)
		one.mu.Lock()
		defer one.mu.Unlock()
		one.kill()
		waiting, err := one.waiting(r.programs)
		err = errors.Join(err, one.harm(do, uint64(pick)))
		hold(lasting)
		// One whose body is there may have lost its head.
		x := excuse{ids: waiting, most: len(waiting) - max(0, r.legible(one.segments(), waiting)-2), until: time.Now()}
		from, before := one.out.length(), len(one.damaged())
		if err := errors.Join(err, one.start(r.programs)); err != nil {
			return err
		}
		r.excuse(x)
		return one.reportsDamage(from, before)
	}
}

// waiting lists the ids in the spool of a relay that does not run.
func (r *relay) waiting(b binaries) (ids []string, err error) {
	out, err := r.command(b, "spool", "ls", "--output", "json", "--dir", r.spool)
	if err != nil {
		return nil, err
	}
	var list struct{ Messages []struct{ ID string } }
	if err := json.Unmarshal([]byte(out), &list); err != nil {
		return nil, fmt.Errorf("spool ls: %w: %s", err, out)
	}
	for _, m := range list.Messages {
		ids = append(ids, m.ID)
	}
	return ids, nil
}

func (r *relay) harm(do harm, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 0))
	all := r.segments()
	if len(all) == 0 {
		return errors.New("there is no segment")
	}
	path := all[rng.IntN(len(all))]
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	used := len(bytes.TrimRight(content, "\x00")) // what follows is room
	return errors.Join(do(file, int64(used), rng), file.Close())
}

// damaged are the files that were set apart.
func (r *relay) damaged() []string {
	files, _ := filepath.Glob(filepath.Join(r.spool, "*.damaged-*")) // the pattern is good
	return files
}

// reportsDamage returns an error where files were found damaged and the log does not
// name one that is kept. A harm that hit nothing of use goes without a word.
func (r *relay) reportsDamage(from, before int) error {
	var entry struct{ Msg, Path string }
	for line := range strings.Lines(r.out.since(from)) {
		if json.Unmarshal([]byte(line), &entry) == nil && strings.Contains(entry.Msg, "the spool was damaged") {
			path, _, _ := strings.Cut(entry.Path, ", ")
			_, err := os.Stat(path)
			return err
		}
	}
	if len(r.damaged()) > before {
		return fmt.Errorf("the spool of relay %d was damaged and the log does not say so", r.number)
	}
	return nil
}

// legible is how many of the events that waited are byte for byte in files.
func (r *fixture) legible(files, waiting []string) (count int) {
	var left []byte
	for _, file := range files {
		content, err := os.ReadFile(file)
		r.report(err)
		left = append(left, content...)
	}
	bodies := map[string][]byte{}
	for _, c := range r.load.record() {
		bodies[c.id] = c.body
	}
	for _, id := range waiting {
		if body := bodies[id]; body != nil && bytes.Contains(left, body) {
			count++
		}
	}
	return count
}

// storeRemoved takes the directory of the NATS inside away. What was in it is
// gone; what is acknowledged from then on is not.
func storeRemoved(r *fixture, lasting time.Duration, pick int) error {
	from := time.Now()
	lost, err := r.auditor.messages(visit.DefaultEventStream)
	spoilt, err2 := r.auditor.messages(visit.DefaultQuarantineStream)
	// At once: the relay makes it anew while its files are removed one by one.
	away := r.store + "-removed"
	err = errors.Join(err, err2, os.Rename(r.store, away))
	r.excuse(excuse{from: from, until: time.Now()}.of(append(lost, spoilt...)))
	hold(lasting)
	return errors.Join(err, os.RemoveAll(away), r.more(warmUp), relayKilled(r, lasting, pick))
}

// storeFull leaves the NATS inside no room on its disk for a while. The relay
// must have the role for it.
func storeFull(r *fixture, lasting time.Duration, pick int) error {
	one := r.oneRelay(pick)
	ballast := one.seen(filepath.Join(r.store, "ballast"))
	err := fill(ballast)
	hold(lasting)
	return errors.Join(err, os.Remove(ballast))
}

// seen is a file as a running relay sees it, which may have mounts of its own.
func (r *relay) seen(path string) string {
	return filepath.Join("/proc", fmt.Sprint(r.process.cmd.Process.Pid), "root", path)
}

// fill writes a file until its disk is full.
func fill(name string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	for block := make([]byte, 64<<10); ; {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
		if len(block) == 0 {
			return nil
		}
	}
}
