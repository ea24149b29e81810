package spool

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// forgetEvery is between two tries to remove what a disk did not let be removed.
const forgetEvery = time.Second

// forget removes what was to be removed before and is in the file still.
func (s *Spool) forget() {
	if time.Since(s.forgotten) < forgetEvery {
		return
	}
	s.forgotten = time.Now()
	s.mu.Lock()
	sequences := slices.Sorted(maps.Keys(s.unforgotten))
	s.mu.Unlock()
	if len(sequences) == 0 {
		return
	}
	batch := []*operation{{remove: sequences}}
	err := s.write(batch)
	if noRoom(err) {
		err = s.makeRoom(batch)
	}
	there := func(uint64) bool { return false }
	if err != nil {
		there = s.stored(batch)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.unforgotten, func(sequence uint64, _ *record) bool { return !there(sequence) })
}

// unforgottenFault says that the next start offers again what was removed, or nil.
func (s *Spool) unforgottenFault() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.unforgotten); n > 0 {
		return fmt.Errorf("%d entries that were removed are still in the file", n)
	}
	return nil
}
