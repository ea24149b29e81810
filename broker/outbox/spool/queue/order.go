package queue

import (
	"container/heap"
	"slices"

	"github.com/sine-relay/sine-relay/visit"
)

// line is the entries of one ordering key, oldest first. It is never empty while
// it is in the queue.
type line struct {
	records  []*Record
	position int  // in the heap
	parked   bool // it is not in the heap
}

// join enters an entry at the end of its line.
func (q *Queue) join(r *Record) {
	if l := q.lines[r.Key]; l != nil {
		l.records = append(l.records, r)
		return
	}
	l := &line{records: []*Record{r}}
	q.lines[r.Key] = l
	if q.heads[r.Root] == nil {
		q.heads[r.Root] = &lineHeap{}
	}
	heap.Push(q.heads[r.Root], l)
}

// leave takes an entry out of its line.
func (q *Queue) leave(r *Record) {
	l, heads := q.lines[r.Key], q.heads[r.Root]
	if l.records[0] == r {
		l.records[0] = nil
		l.records = l.records[1:]
	} else {
		i := slices.Index(l.records, r)
		l.records = slices.Delete(l.records, i, i+1)
	}
	if len(l.records) == 0 {
		delete(q.lines, r.Key)
	}
	switch {
	case l.parked:
	case len(l.records) == 0:
		heap.Remove(heads, l.position)
	default:
		heap.Fix(heads, l.position)
	}
}

// Line returns the sequences of the entries of an ordering key, oldest first.
func (q *Queue) Line(key Key) (sequences []uint64) {
	if l := q.lines[key]; l != nil {
		for _, r := range l.records {
			sequences = append(sequences, r.Sequence)
		}
	}
	return sequences
}

// Park leaves the entries of an ordering key out of [Queue.Runs], until [Queue.Unpark]
// or until all of them are removed. To pass over them in each run would take the
// longer the more there are.
func (q *Queue) Park(key Key) {
	if l := q.lines[key]; l != nil && !l.parked {
		l.parked = true
		heap.Remove(q.heads[key.Root], l.position)
	}
}

// Unpark undoes Park.
func (q *Queue) Unpark(key Key) {
	if l := q.lines[key]; l != nil && l.parked {
		l.parked = false
		heap.Push(q.heads[key.Root], l)
	}
}

// Runs returns the sequences of the oldest entries of each of at most max ordering keys
// of a root, that with the oldest entry first: about total altogether, in even shares,
// and fewer where they would take more than so many bytes, but at least one where there
// is one.
func (q *Queue) Runs(root visit.Root, max, total int, bytes int64) (runs [][]uint64) {
	lines := q.oldest(root, max)
	taken := int64(0)
	for _, l := range lines {
		depth := (total + len(lines) - 1) / len(lines)
		var run []uint64
		for _, r := range l.records[:min(depth, len(l.records))] {
			if taken += int64(r.Size); taken > bytes && taken > int64(r.Size) {
				break
			}
			run = append(run, r.Sequence)
		}
		if len(run) > 0 {
			runs = append(runs, run)
		}
	}
	return runs
}

// oldest returns at most n lines of a root that are not parked, that with the
// oldest head first. Its time grows with n, and hardly with the number of lines.
func (q *Queue) oldest(root visit.Root, n int) (taken []*line) {
	heads := q.heads[root]
	for heads != nil && heads.Len() > 0 && len(taken) < n {
		taken = append(taken, heap.Pop(heads).(*line))
	}
	for _, l := range taken {
		heap.Push(heads, l)
	}
	return taken
}

type lineHeap []*line

func (h lineHeap) Len() int           { return len(h) }
func (h lineHeap) Less(i, j int) bool { return h[i].records[0].Sequence < h[j].records[0].Sequence }

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
