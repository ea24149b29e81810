package spool

import (
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// Room is how the spool is filled at one moment, for an entry of so many bytes
// that is about to be put. All numbers are of bytes, those being committed
// included.
type Room struct {
	Size          int64
	Bytes         int64 // all that is used of MaxBytes
	MaxBytes      int64
	OfRoot        int64 // what is used by messages of the same root
	OfIntegration int64 // and, among them, of the same integration
}

func recordOf(e Entry, size int64) *record {
	return &record{
		size: uint32(size), stored: e.Stored.UnixNano(), attempts: uint32(min(e.Attempts, maxAttempts)),
		lineKey:     lineKey{e.Message.Root, e.Order},
		integration: strings.Join(e.Message.Header[visit.HeaderIntegration], ""),
	}
}

// ownedBytes are counted by root and integration, and all of a root.
type ownedBytes map[owner]int64

type owner struct {
	root        visit.Root
	integration string
	all         bool
}

func (b ownedBytes) add(r *record)    { b.change(r, int64(r.size)) }
func (b ownedBytes) remove(r *record) { b.change(r, -int64(r.size)) }

func (b ownedBytes) change(r *record, bytes int64) {
	for _, o := range []owner{{root: r.root, all: true}, {root: r.root, integration: r.integration}} {
		if b[o] += bytes; b[o] == 0 {
			delete(b, o)
		}
	}
}

// room is called with the lock held.
func (s *Spool) room(root visit.Root, integration string, size int64) Room {
	return Room{
		Size: size, Bytes: s.index.bytes + s.reserved, MaxBytes: s.cfg.MaxBytes,
		OfRoot: s.owned[owner{root: root, all: true}], OfIntegration: s.owned[owner{root: root, integration: integration}],
	}
}

// Room is how the spool is filled for an entry of that size.
func (s *Spool) Room(root visit.Root, integration string, size int64) Room {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.room(root, integration, size)
}

// Entries is how many messages of a root wait.
func (s *Spool) Entries(root visit.Root) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.index.entries[root]
}

// Roots are those of which there may be messages.
func (s *Spool) Roots() (roots []visit.Root) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for root := range s.index.entries {
		roots = append(roots, root)
	}
	return roots
}
