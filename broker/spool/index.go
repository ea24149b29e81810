package spool

import (
	"container/heap"
	"slices"
	"time"
)

// record is what is kept in memory of one entry: no part of the message.
type record struct {
	sequence uint64
	size     int64
	stored   time.Time
	attempts int
	order    string
}

// index knows all entries by sequence and by order key. Its user locks.
type index struct {
	records map[uint64]*record
	lines   map[string]*line
	// heads holds each line once, the one with the oldest head first.
	heads lineHeap
	bytes int64
}

// line is the entries of one order key, oldest first. It is never empty while
// it is in the index.
type line struct {
	records  []*record
	position int // in the heap
}

func newIndex(found *contents) *index {
	x := &index{records: make(map[uint64]*record), lines: make(map[string]*line)}
	for _, r := range found.records {
		x.add(r)
	}
	return x
}

func (x *index) add(r *record) {
	x.records[r.sequence] = r
	x.bytes += r.size
	if l := x.lines[r.order]; l != nil {
		l.records = append(l.records, r)
		return
	}
	l := &line{records: []*record{r}}
	x.lines[r.order] = l
	heap.Push(&x.heads, l)
}

func (x *index) remove(sequence uint64) {
	r := x.records[sequence]
	if r == nil {
		return
	}
	delete(x.records, sequence)
	x.bytes -= r.size
	l := x.lines[r.order]
	if l.records[0] == r {
		l.records[0] = nil
		l.records = l.records[1:]
	} else {
		i := slices.Index(l.records, r)
		l.records = slices.Delete(l.records, i, i+1)
	}
	if len(l.records) == 0 {
		delete(x.lines, r.order)
		heap.Remove(&x.heads, l.position)
		return
	}
	heap.Fix(&x.heads, l.position)
}

// oldest returns at most n lines that are not skipped, that with the oldest head
// first. It walks the heap from its top: only the children of a line that was
// visited can be next, so its time grows with n and those skipped, and not with
// the number of lines.
func (x *index) oldest(n int, skip func(order string) bool) []*line {
	var taken []*line
	var next []int
	if len(x.heads) > 0 {
		next = append(next, 0)
	}
	for len(taken) < n && len(next) > 0 {
		best := 0
		for i := range next {
			if x.heads.Less(next[i], next[best]) {
				best = i
			}
		}
		at := next[best]
		next = slices.Delete(next, best, best+1)
		if l := x.heads[at]; skip == nil || !skip(l.records[0].order) {
			taken = append(taken, l)
		}
		for _, child := range []int{2*at + 1, 2*at + 2} {
			if child < len(x.heads) {
				next = append(next, child)
			}
		}
	}
	return taken
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
