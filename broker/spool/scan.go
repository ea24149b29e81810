package spool

import (
	"bytes"
	"errors"
	"fmt"
)

// scan is what reading a segment from end to end has found.
type scan struct {
	header
	records []stored
	// damage is why not all that was acknowledged could be read, or nil. A torn
	// tail is not damage.
	damage error
}

// scanSegment takes the bytes of a segment apart. Bytes that are not a record are
// passed over, up to the next record that belongs to the segment. Where the header
// cannot be read, the first record that is whole says which ones do.
func scanSegment(b []byte) (s scan) {
	s.header, s.damage = decodeHeader(b)
	if s.damage == nil && s.size != int64(len(b)) {
		s.damage = fmt.Errorf("%d of its %d bytes are there", len(b), s.size)
	}
	end, sealed := int64(len(b)), false
	if len(b) >= headerBytes {
		if w := int64(wordAt(b[endOffset:], s.id, endOffset)); w > 0 && w <= end {
			end, sealed = w, true
		}
	}
	bad := int64(-1) // where the first bytes are that are not a record, or -1
	for at := int64(headerBytes); at < end; {
		r, ok := decodeRecord(b[at:end])
		if !ok || s.id != 0 && r.id != s.id {
			if bad < 0 {
				bad = at
			}
			at = nextRecord(b[:end], at+8)
			continue
		}
		if bad >= 0 && r.begin > bad {
			s.unreadable(bad, at)
			bad = -1
		}
		s.id = r.id
		r.offset = at
		s.records = append(s.records, r)
		at += r.size()
	}
	if bad >= 0 && sealed {
		s.unreadable(bad, end)
	}
	return s
}

func (s *scan) unreadable(from, to int64) {
	s.damage = errors.Join(s.damage, fmt.Errorf("bytes %d to %d are not as they were written", from, to))
}

// nextRecord is where the next record may begin.
func nextRecord(b []byte, at int64) int64 {
	for at < int64(len(b)) {
		i := bytes.Index(b[at:], []byte(recordMagic))
		if i < 0 {
			break
		}
		if at += int64(i); at%8 == 0 {
			return at
		}
		at++
	}
	return int64(len(b))
}

// readSegment reads all of a file that can be read. What cannot is left zero.
func readSegment(f file, size int64) (b []byte, failed error) {
	const step = 16 << 10
	b = make([]byte, size)
	for at := int64(0); at < size; at += step {
		part := b[at:min(at+step, size)]
		if n, err := f.ReadAt(part, at); n < len(part) {
			failed = err
		}
	}
	return b, failed
}
