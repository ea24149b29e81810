package spool

import (
	"container/heap"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// record is what is kept in memory of one entry: no part of the message.
type record struct {
	sequence uint64
	place
	size     uint32 // in its segment
	attempts uint32
	stored   int64 // nanoseconds of the Unix time
	lineKey
	integration string
}

// same reports whether two records are of the same entry, though in two places.
func (r *record) same(other *record) bool {
	return r.sequence == other.sequence && r.size == other.size && r.stored == other.stored && r.lineKey == other.lineKey
}

// lineKey is what entries have in common that leave in their order: a root, since
// each has a stream of its own, and within it the ordering key.
type lineKey struct {
	root  visit.Root
	order string
}

// index knows all entries by sequence and by ordering key. Its user locks.
type index struct {
	records map[uint64]*record
	lines   map[lineKey]*line
	// heads holds for each root each line once that is not parked, the one with
	// the oldest head first.
	heads map[visit.Root]*lineHeap
	bytes int64
	// entries are counted by root.
	entries map[visit.Root]int
}

// line is the entries of one ordering key, oldest first. It is never empty while
// it is in the index.
type line struct {
	records  []*record
	position int  // in the heap
	parked   bool // it is not in the heap
}

func newIndex() *index {
	return &index{
		records: make(map[uint64]*record), lines: make(map[lineKey]*line),
		heads: make(map[visit.Root]*lineHeap), entries: make(map[visit.Root]int),
	}
}

func (x *index) add(r *record) {
	x.records[r.sequence] = r
	x.bytes += int64(r.size)
	x.entries[r.root]++
	if l := x.lines[r.lineKey]; l != nil {
		l.records = append(l.records, r)
		return
	}
	l := &line{records: []*record{r}}
	x.lines[r.lineKey] = l
	if x.heads[r.root] == nil {
		x.heads[r.root] = &lineHeap{}
	}
	heap.Push(x.heads[r.root], l)
}

func (x *index) remove(sequence uint64) {
	r := x.records[sequence]
	if r == nil {
		return
	}
	delete(x.records, sequence)
	x.bytes -= int64(r.size)
	x.entries[r.root]--
	l, heads := x.lines[r.lineKey], x.heads[r.root]
	if l.records[0] == r {
		l.records[0] = nil
		l.records = l.records[1:]
	} else {
		i := slices.Index(l.records, r)
		l.records = slices.Delete(l.records, i, i+1)
	}
	if len(l.records) == 0 {
		delete(x.lines, r.lineKey)
	}
	switch {
	case l.parked:
	case len(l.records) == 0:
		heap.Remove(heads, l.position)
	default:
		heap.Fix(heads, l.position)
	}
}

// park takes the line of an order, if there is one, from those that are next.
func (x *index) park(key lineKey) {
	if l := x.lines[key]; l != nil && !l.parked {
		l.parked = true
		heap.Remove(x.heads[key.root], l.position)
	}
}

// unpark undoes park.
func (x *index) unpark(key lineKey) {
	if l := x.lines[key]; l != nil && l.parked {
		l.parked = false
		heap.Push(x.heads[key.root], l)
	}
}

// oldest returns at most n lines of a root that are not parked, that with the
// oldest head first. It walks the heap from its top: only the children of a line
// that was visited can be next, so its time grows with n, and not with the number
// of lines.
func (x *index) oldest(root visit.Root, n int) []*line {
	heads := x.heads[root]
	if heads == nil || len(*heads) == 0 {
		return nil
	}
	var taken []*line
	next := frontier{heads: *heads, at: []int{0}}
	for len(taken) < n && len(next.at) > 0 {
		at := heap.Pop(&next).(int)
		taken = append(taken, next.heads[at])
		for _, child := range []int{2*at + 1, 2*at + 2} {
			if child < len(next.heads) {
				heap.Push(&next, child)
			}
		}
	}
	return taken
}

// frontier is a heap of places in a heap.
type frontier struct {
	heads lineHeap
	at    []int
}

func (f frontier) Len() int           { return len(f.at) }
func (f frontier) Less(i, j int) bool { return f.heads.Less(f.at[i], f.at[j]) }
func (f frontier) Swap(i, j int)      { f.at[i], f.at[j] = f.at[j], f.at[i] }
func (f *frontier) Push(x any)        { f.at = append(f.at, x.(int)) }

func (f *frontier) Pop() any {
	last := f.at[len(f.at)-1]
	f.at = f.at[:len(f.at)-1]
	return last
}

// sequences returns those of all entries, ascending.
func (x *index) sequences() []uint64 {
	all := make([]uint64, 0, len(x.records))
	for sequence := range x.records {
		all = append(all, sequence)
	}
	slices.Sort(all)
	return all
}

type lineHeap []*line

func (h lineHeap) Len() int           { return len(h) }
func (h lineHeap) Less(i, j int) bool { return h[i].records[0].sequence < h[j].records[0].sequence }

func (h lineHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].position, h[j].position = i, j
}

func (h *lineHeap) Push(x any) {
	l := x.(*line)
	l.position = len(*h)
	*h = append(*h, l)
}

func (h *lineHeap) Pop() any {
	old := *h
	l := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	return l
}
