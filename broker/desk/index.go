package desk

import (
	"errors"
	"hash/maphash"
	"slices"
	"sort"
	"strconv"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// entry is what is kept of one message to count it. It has 24 bytes and no pointer, so
// that the garbage collector passes over all of them.
type entry struct {
	received  int64  // microseconds since 1970
	visit     uint64 // stands for Sine's id of the visit; 0 for none
	offset    uint32 // of its sequence number from that of its chunk
	site      uint16 // the place of its name
	situation uint8  // likewise
	marks     uint8
}

const (
	markUnreadable uint8 = 1 << iota // a message, and none that counts
	markRejected
	markFallback
	markOrder
	markSynthetic
)

func (e *entry) mark(mark uint8, set bool) {
	if set {
		e.marks |= mark
	}
}

func (e *entry) is(mark uint8) bool { return e.marks&mark != 0 }

// chunkSize is how many entries are kept, read and dropped together.
const chunkSize = 4096

// chunk has the entries of some messages in a row.
type chunk struct {
	base    uint64 // what the offsets begin with
	stored  time.Time
	entries []entry
}

func (c *chunk) sequence(i int) uint64 { return c.base + uint64(c.entries[i].offset) }

// index has the entries of a stream's newest messages, in the order of their sequence
// numbers, at both ends of which it grows.
type index struct {
	chunks            []chunk
	count             int
	sites, situations names
}

// names are texts by their places. They are few.
type names struct {
	all    []string
	places map[string]int
}

// maxName bounds a name, and maxSites and maxSituations how many of them there are: they
// come from messages that other clients may store.
const (
	maxName       = 64
	maxSites      = 1 << 16
	maxSituations = 1 << 8
)

var errNames = errors.New("more different names than the desk keeps")

func (n *names) place(name string, most int) (int, error) {
	if i, known := n.places[name]; known {
		return i, nil
	}
	if len(n.all) == most || len(name) > maxName {
		return 0, errNames
	}
	if n.places == nil {
		n.places = map[string]int{}
	}
	n.places[name] = len(n.all)
	n.all = append(n.all, name)
	return len(n.all) - 1, nil
}

// add adds a message that is newer than all others.
func (x *index) add(sequence uint64, stored time.Time, e entry) {
	last := len(x.chunks) - 1
	if last < 0 || len(x.chunks[last].entries) == chunkSize || sequence-x.chunks[last].base > 1<<31 {
		x.chunks = append(x.chunks, chunk{base: sequence, stored: stored})
		last++
	}
	e.offset = uint32(sequence - x.chunks[last].base)
	x.chunks[last].entries = append(x.chunks[last].entries, e)
	x.count++
}

// before adds the messages that come before all others.
func (x *index) before(older *index) {
	for i := range older.chunks { // which stay as they are
		older.chunks[i].entries = slices.Clone(older.chunks[i].entries)
	}
	x.chunks = slices.Concat(older.chunks, x.chunks)
	x.count += older.count
}

// drop drops the messages before a sequence number.
func (x *index) drop(sequence uint64) {
	for len(x.chunks) > 0 {
		c := &x.chunks[0]
		gone := sort.Search(len(c.entries), func(i int) bool { return c.sequence(i) >= sequence })
		c.entries = c.entries[gone:]
		x.count -= gone
		if len(c.entries) > 0 {
			return
		}
		x.chunks[0] = chunk{} // lest it is kept
		x.chunks = x.chunks[1:]
	}
}

// first is the oldest message.
func (x *index) first() (sequence uint64, e entry, ok bool) {
	if x.count == 0 {
		return 0, entry{}, false
	}
	return x.chunks[0].sequence(0), x.chunks[0].entries[0], true
}

// view is what an index has at one time. It does not change.
func (x *index) view() index {
	v := *x
	v.chunks = slices.Clone(x.chunks)
	return v
}

// each calls fn for each message that counts and was received in [from, to), or from from
// on where to is zero, that with the highest sequence number first.
func (x *index) each(from, to time.Time, fn func(sequence uint64, e entry)) {
	begin, end := from.UnixMicro(), int64(1<<63-1)
	if !to.IsZero() {
		end = to.UnixMicro()
	}
	for i := range slices.Backward(x.chunks) {
		c := &x.chunks[i]
		for j := range slices.Backward(c.entries) {
			if e := c.entries[j]; !e.is(markUnreadable) && e.received >= begin && e.received < end {
				fn(c.sequence(j), e)
			}
		}
	}
}

var visitSeed = maphash.MakeSeed()

// visitNumber stands for a visit's key.
func visitNumber(k visit.VisitKey) uint64 {
	if !k.FromSine() {
		return 0
	}
	return max(maphash.String(visitSeed, k.Value), 1)
}

// visitKey is equal for equal numbers, and nobody outside of this process knows it.
func visitKey(number uint64) visit.VisitKey {
	if number == 0 {
		return visit.VisitKey{Basis: visit.VisitKeyNone}
	}
	return visit.VisitKey{Value: strconv.FormatUint(number, 36), Basis: visit.VisitKeyFromSine}
}
