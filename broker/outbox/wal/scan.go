package wal

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
)

// Content is what reading a segment from end to end has found.
type Content struct {
	Header
	Records []Record
	// Damage is why not all that was acknowledged could be read, or nil. A torn
	// tail is not damage.
	Damage error
}

// Content reads the segment. An error says what the disk did not let be read.
func (g *Segment) Content() (Content, error) {
	b, err := readAll(g.file, g.Size)
	return Scan(b), err
}

// Scan takes the bytes of a segment apart. Bytes that are not a record are
// passed over, up to the next record that belongs to the segment. Where the header
// cannot be read, the first record that is whole says which ones do.
func Scan(b []byte) (s Content) {
	s.Header, s.Damage = decodeHeader(b)
	if s.Damage == nil && s.Size != int64(len(b)) {
		s.Damage = fmt.Errorf("%d of its %d bytes are there", len(b), s.Size)
	}
	end, sealed := int64(len(b)), false
	if len(b) >= headerBytes {
		if w := int64(wordAt(b[endOffset:], s.ID, endOffset)); w > 0 && w <= end {
			end, sealed = w, true
		}
	}
	bad := int64(-1) // where the first bytes are that are not a record, or -1
	for at := int64(headerBytes); at < end; {
		r, ok := decodeRecord(b[at:end])
		if !ok || s.ID != 0 && r.ID != s.ID {
			if bad < 0 {
				bad = at
			}
			at = nextRecord(b[:end], at+8)
			continue
		}
		if bad >= 0 && r.Begin > bad {
			s.unreadable(bad, at)
			bad = -1
		}
		s.ID = r.ID
		r.Offset = at
		s.Records = append(s.Records, r)
		at += r.Size()
	}
	if bad >= 0 && sealed {
		s.unreadable(bad, end)
	}
	return s
}

func (s *Content) unreadable(from, to int64) {
	s.Damage = errors.Join(s.Damage, fmt.Errorf("bytes %d to %d are not as they were written", from, to))
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

// readAll reads all of a file that can be read. What cannot is left zero.
func readAll(f disk.File, size int64) (b []byte, failed error) {
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
