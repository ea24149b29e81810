package drift

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/shape"
)

const (
	// maxKeys bounds the keys that are known of an integration, maxInBody those of one
	// body, the first of which count, and maxSums the different sums over them.
	maxKeys, maxInBody, maxSums = 256, 128, 128
	// maxNovel bounds the new keys that are compared with missing fields, and
	// novelFor for how many deliveries a key is new.
	maxNovel, novelFor = 16, remembered
	// atFirst are the first deliveries of a kind. A key that is in one of them is not new.
	atFirst = 4
	// seenOften is in how many deliveries a key must have been before it is named: what
	// is there in one alone may be a visitor's name or number.
	seenOften = 5
	// readings is how many bodies are read for their keys at once, and one more each
	// readingInterval.
	readings        = 32
	readingInterval = time.Second
)

// Keys are the keys of a body that lead to no field: in Paths as they are, and in Names
// as they may be shown.
type Keys struct{ Paths, Names []string }

// SumOf is a sum over the keys of a body: equal keys, equal sums. A date that cannot be read
// counts as a key.
func SumOf(b *fields.Body) uint64 {
	sum := b.Unknown + uint64(b.Elsewhere())<<32
	if b.HasUnreadDate() {
		sum += 1 << 31
	}
	return sum
}

// ofUnreadDate is behind the pointer to a date that cannot be read: in another form it is
// what a renamed key is.
const ofUnreadDate = " (cannot be read)"

// KeysOf are those of a report, and the built-in places at which there is a field that is
// configured to be elsewhere, and that of a date that cannot be read. In a path, "*" stands for a number: an element of a list,
// or an id that serves as a key; and for a key to which a "*" of the configuration leads. In a name what does not read like the name of a field is
// masked, and what is beside it, as in a [shape.Shape].
func KeysOf(r *fields.Report) (k Keys) {
	for _, u := range r.UnknownKeys {
		k.Paths = append(k.Paths, u.At)
	}
	k.Paths = append(k.Paths, r.Unselected...)
	elsewhere := r.Elsewhere()
	for _, f := range r.Found {
		if elsewhere.Has(f.Field) {
			k.Paths = append(k.Paths, f.At...)
		}
	}
	for i, at := range k.Paths {
		k.Paths[i] = withoutNumbers(r.WithoutData(at))
	}
	k.Names = shape.Pointers(k.Paths)
	for _, f := range r.Found {
		if f.Field == fields.Date && r.HasUnreadDate() {
			k.Paths = append(k.Paths, f.At[0]+ofUnreadDate)
			k.Names = append(k.Names, shape.Pointers(f.At[:1])[0]+ofUnreadDate)
		}
	}
	return k
}

func withoutNumbers(pointer string) string {
	segments := strings.Split(pointer, "/")
	for i, s := range segments {
		if s != "" && strings.Trim(s, "0123456789") == "" {
			segments[i] = "*"
		}
	}
	return strings.Join(segments, "/")
}

// keys are those that are known of an integration.
type keys struct {
	known map[uint64]*key // by the hash of the path
	// sums has the keys of the bodies whose unknown keys have the same sum, and order
	// the sums, the oldest first.
	sums  map[uint64][]*key
	order []uint64
	count uint64
	// spent are the readings that were used up as of a time.
	spent int
	asOf  time.Time
}

// key is a key that leads to no field.
type key struct {
	name string // masked
	hash uint64 // of the path
	// number is how many keys had come by then that were not known, this one included.
	number uint64
	// seen is in how many deliveries it was.
	seen      int32
	sightings [kindCount]sighting
}

// sighting is when a key came in a kind of body.
type sighting struct {
	first, times int32 // number of the first delivery, and of how many
	novel        bool  // among those that are compared with missing fields
}

var seed = maphash.MakeSeed()

// of returns the keys of a body, or nil if they could not be read.
func (k *keys) of(sum uint64, at time.Time, read func() Keys) []*key {
	if present, known := k.sums[sum]; known || sum == 0 || !k.mayRead(at) {
		return present
	}
	body := read()
	var present []*key
	found := map[*key]bool{}
	for i, path := range body.Paths {
		one := k.get(path, body.Names[i])
		if !found[one] && len(present) < maxInBody {
			found[one] = true
			present = append(present, one)
		}
	}
	if k.sums == nil {
		k.sums = map[uint64][]*key{}
	}
	if len(k.order) == maxSums {
		delete(k.sums, k.order[0])
		k.order = append(k.order[:0], k.order[1:]...)
	}
	k.sums[sum], k.order = present, append(k.order, sum)
	return present
}

// mayRead takes one of the readings that there are.
func (k *keys) mayRead(at time.Time) bool {
	if regained := int(at.Sub(k.asOf) / readingInterval); regained > 0 {
		k.spent, k.asOf = max(0, k.spent-regained), at
	}
	if k.spent >= readings {
		return false
	}
	k.spent++
	return true
}

// get returns the key of a path, which is known from now on. For want of room the oldest of
// those that were seen once is forgotten.
func (k *keys) get(path, name string) *key {
	hash := maphash.String(seed, path)
	if known := k.known[hash]; known != nil {
		return known
	}
	if k.known == nil {
		k.known = map[uint64]*key{}
	}
	k.count++
	one := &key{name: name, hash: hash, number: k.count}
	if len(k.known) >= maxKeys && !k.forgetOne() {
		return one
	}
	k.known[hash] = one
	return one
}

func (k *keys) forgetOne() bool {
	var oldest *key
	for _, one := range k.known {
		if one.seen <= 1 && (oldest == nil || one.number < oldest.number) {
			oldest = one
		}
	}
	if oldest == nil {
		return false
	}
	delete(k.known, oldest.hash)
	return true
}

// note notes that a delivery has a key.
func (h *history) note(k *key) {
	s := &k.sightings[h.number]
	if s.times++; s.first == 0 {
		s.first = h.deliveries
	}
	if s.first <= atFirst || s.novel || h.deliveries-s.first >= novelFor {
		return
	}
	if len(h.novel) == maxNovel {
		rarest := slices.MinFunc(h.novel, func(a, b *key) int { return cmp.Compare(h.share(a), h.share(b)) })
		if h.share(rarest) >= h.share(k) {
			return
		}
		rarest.sightings[h.number].novel = false
		h.novel = slices.DeleteFunc(h.novel, func(k *key) bool { return k == rarest })
	}
	s.novel, h.novel = true, append(h.novel, k)
}

// share is in which part of the deliveries since its first a key was; it is less than
// any other for one that is new no more.
func (h *history) share(k *key) float64 {
	s := k.sightings[h.number]
	since := h.since(s)
	if since > novelFor {
		return 0
	}
	return float64(s.times) / float64(since)
}
