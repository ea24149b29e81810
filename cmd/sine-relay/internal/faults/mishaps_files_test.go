//go:build linux && faults

package faults

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// storeRemoved takes the directory of the NATS inside away. What was in it is
// gone; what is acknowledged from then on is not.
func storeRemoved(r *rig, lasting time.Duration, pick int) error {
	from := time.Now()
	lost, err := r.auditor.messages(visit.DefaultEventStream)
	spoilt, err2 := r.auditor.messages(visit.DefaultQuarantineStream)
	// At once: the relay makes it anew while its files are removed one by one.
	away := r.store + "-removed"
	err = errors.Join(err, err2, os.Rename(r.store, away))
	x := excuse{most: len(lost) + len(spoilt), from: from, until: time.Now()}
	for _, m := range append(lost, spoilt...) {
		x.ids = append(x.ids, m.id())
	}
	r.excuse(x)
	hold(lasting)
	return errors.Join(err, os.RemoveAll(away), r.more(warmUp), relayKilled(r, lasting, pick))
}

// storeFull leaves the NATS inside no room on its disk for a while. The relay
// must have the role for it.
func storeFull(r *rig, lasting time.Duration, pick int) error {
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
