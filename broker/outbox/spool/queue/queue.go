// Package queue knows in memory what waits in a spool: which message is the next of each
// ordering key, and how much of it is whose.
//
// Messages of one key are offered in the order in which they came, and the keys by their
// oldest message. Finding the next ones takes no longer the more there are. It knows no
// file, and its user locks.
package queue

import (
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/broker/outbox/wal"
	"github.com/sine-relay/sine-relay/visit"
)

// Record is what is kept in memory of one entry: no part of the message.
type Record struct {
	Sequence uint64
	wal.Place
	Size     uint32 // in its segment
	Attempts uint32
	Stored   int64 // nanoseconds of the Unix time
	Key
	Integration string
}

// Key is what entries have in common that leave in their order: a root, since
// each has a stream of its own, and within it the ordering key.
type Key struct {
	Root  visit.Root
	Order string
}

// RecordOf returns the record of an entry that takes up so many bytes, without a sequence
// and a place.
func RecordOf(e wal.Entry, size int64) *Record {
	return &Record{
		Size: uint32(size), Stored: e.Stored.UnixNano(), Attempts: uint32(min(e.Attempts, wal.MaxAttempts)),
		Key:         Key{e.Message.Root, e.Order},
		Integration: strings.Join(e.Message.Header[visit.HeaderIntegration], ""),
	}
}

// Same reports whether two records are of the same entry, though in two places.
func (r *Record) Same(other *Record) bool {
	return r.Sequence == other.Sequence && r.Size == other.Size && r.Stored == other.Stored && r.Key == other.Key
}

// Room is how a spool is filled at one moment, for an entry of so many bytes
// that is about to be put. All numbers are of bytes, those being committed
// included.
type Room struct {
	Size          int64
	Bytes         int64 // all that is used of MaxBytes
	MaxBytes      int64
	OfRoot        int64 // what is used by messages of the same root
	OfIntegration int64 // and, among them, of the same integration
}

// Queue knows all entries by sequence and by ordering key, and those that are about to be
// among them.
type Queue struct {
	records map[uint64]*Record
	lines   map[Key]*line
	// heads holds for each root each line once that is not parked, the one with
	// the oldest head first.
	heads map[visit.Root]*lineHeap
	// entries are counted by root.
	entries  map[visit.Root]int
	pending  map[Key]int // what is reserved, by ordering key
	bytes    int64       // of entries and of what is reserved
	owned    map[owner]int64
	maxBytes int64
}

// owner is an integration's part of what is of a root, or all of it.
type owner struct {
	root        visit.Root
	integration string
	all         bool
}

// New returns an empty queue for a spool that may hold so many bytes.
func New(maxBytes int64) *Queue {
	return &Queue{
		records: make(map[uint64]*Record), lines: make(map[Key]*line), heads: make(map[visit.Root]*lineHeap), entries: make(map[visit.Root]int),
		pending: make(map[Key]int), owned: make(map[owner]int64), maxBytes: maxBytes,
	}
}

// Reserve gives an entry its place before it is stored: what comes later queues behind it.
func (q *Queue) Reserve(r *Record) {
	q.pending[r.Key]++
	q.own(r, int64(r.Size))
}

// Release undoes Reserve.
func (q *Queue) Release(r *Record) {
	if q.pending[r.Key]--; q.pending[r.Key] == 0 {
		delete(q.pending, r.Key)
	}
	q.own(r, -int64(r.Size))
}

func (q *Queue) own(r *Record, bytes int64) {
	q.bytes += bytes
	for _, o := range []owner{{root: r.Root, all: true}, {root: r.Root, integration: r.Integration}} {
		if q.owned[o] += bytes; q.owned[o] == 0 {
			delete(q.owned, o)
		}
	}
}

// Add enters an entry that is stored.
func (q *Queue) Add(r *Record) {
	q.records[r.Sequence] = r
	q.entries[r.Root]++
	q.own(r, int64(r.Size))
	q.join(r)
}

// Remove takes an entry out, and returns it, or nil where it is not there.
func (q *Queue) Remove(sequence uint64) *Record {
	r := q.records[sequence]
	if r == nil {
		return nil
	}
	delete(q.records, sequence)
	q.entries[r.Root]--
	q.own(r, -int64(r.Size))
	q.leave(r)
	return r
}

// Record returns an entry, or nil.
func (q *Queue) Record(sequence uint64) *Record { return q.records[sequence] }

// Records returns all entries. They are not to be changed meanwhile.
func (q *Queue) Records() map[uint64]*Record { return q.records }

// Sequences returns those of all entries, ascending.
func (q *Queue) Sequences() []uint64 {
	all := make([]uint64, 0, len(q.records))
	for sequence := range q.records {
		all = append(all, sequence)
	}
	slices.Sort(all)
	return all
}

// Waiting reports whether anything with an ordering key waits, or is reserved.
func (q *Queue) Waiting(key Key) bool { return q.lines[key] != nil || q.pending[key] > 0 }

// Room is how the spool is filled for an entry of that size.
func (q *Queue) Room(root visit.Root, integration string, size int64) Room {
	return Room{
		Size: size, Bytes: q.bytes, MaxBytes: q.maxBytes,
		OfRoot: q.owned[owner{root: root, all: true}], OfIntegration: q.owned[owner{root: root, integration: integration}],
	}
}

// Entries is how many messages of a root wait.
func (q *Queue) Entries(root visit.Root) int { return q.entries[root] }

// Roots are those of which there may be messages.
func (q *Queue) Roots() (roots []visit.Root) {
	for root := range q.entries {
		roots = append(roots, root)
	}
	return roots
}

// Bytes are those of all entries and of what is reserved.
func (q *Queue) Bytes() int64 { return q.bytes }

// Len is how many entries wait.
func (q *Queue) Len() int { return len(q.records) }
