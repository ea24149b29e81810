package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// An entry is stored as a version byte, a checksum of its sequence and of all
// that follows, and the fields, each string with its length before it. The
// message's data is the rest. JSON would not do: it replaces bytes that are not
// UTF-8, and a quarantined body may be anything.
const (
	encodingVersion = 1
	encodingPrefix  = 1 + crc32.Size
	keySize         = 8
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errEncoding = errors.New("entry is cut short")

func key(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }

func sequenceOf(key []byte) uint64 { return binary.BigEndian.Uint64(key) }

func encode(sequence uint64, e Entry) []byte {
	b := make([]byte, encodingPrefix, encodingPrefix+512+len(e.Message.Data))
	b[0] = encodingVersion
	b = binary.AppendVarint(b, e.Stored.UnixNano())
	b = binary.AppendUvarint(b, uint64(e.Attempts))
	for _, s := range []string{e.Order, string(e.Message.Root), e.Message.Subject, e.Message.ID} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(e.Message.Header)))
	for name, values := range e.Message.Header {
		b = appendString(b, name)
		b = binary.AppendUvarint(b, uint64(len(values)))
		for _, v := range values {
			b = appendString(b, v)
		}
	}
	b = append(b, e.Message.Data...)
	seal(sequence, b)
	return b
}

// seal writes the checksum, which covers the sequence so that an entry under
// another's key is recognised.
func seal(sequence uint64, b []byte) {
	binary.BigEndian.PutUint32(b[1:], checksum(sequence, b))
}

func checksum(sequence uint64, b []byte) uint32 {
	return crc32.Update(crc32.Checksum(key(sequence), castagnoli), castagnoli, b[encodingPrefix:])
}

// decode returns the entry, which shares no memory with b.
func decode(sequence uint64, b []byte) (Entry, error) {
	if len(b) < encodingPrefix {
		return Entry{}, errEncoding
	}
	if b[0] != encodingVersion {
		return Entry{}, fmt.Errorf("entry has version %d", b[0])
	}
	if binary.BigEndian.Uint32(b[1:]) != checksum(sequence, b) {
		return Entry{}, errors.New("entry has the wrong checksum")
	}
	r := &fields{rest: b[encodingPrefix:]}
	e := Entry{
		Stored:   time.Unix(0, r.varint()).UTC(),
		Attempts: r.number(),
		Order:    r.text(),
		Message:  visit.Message{Root: visit.Root(r.text()), Subject: r.text(), ID: r.text(), Header: r.header()},
	}
	e.Message.Data = append([]byte{}, r.rest...)
	return e, r.err
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// fields reads one field after another. After the first fault it returns zero
// values only.
type fields struct {
	rest []byte
	err  error
}

func (r *fields) fail() {
	r.rest, r.err = nil, errEncoding
}

func (r *fields) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// number reads a count or a length. Neither exceeds what follows it, except
// for the attempts, which stay small.
func (r *fields) number() int {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > 1<<31 {
		r.fail()
		return 0
	}
	r.rest = r.rest[n:]
	return int(v)
}

func (r *fields) text() string {
	n := r.number()
	if n > len(r.rest) {
		r.fail()
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *fields) header() map[string][]string {
	n := r.number()
	if n == 0 {
		return nil
	}
	h := make(map[string][]string)
	for ; n > 0 && r.err == nil; n-- {
		name := r.text()
		values := make([]string, 0, 1)
		for i := r.number(); i > 0 && r.err == nil; i-- {
			values = append(values, r.text())
		}
		h[name] = values
	}
	return h
}
