package wal

import (
	"encoding/binary"
	"errors"
	"slices"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// An entry is encoded as its fields, each string with its length before it. The
// message's data is the rest. JSON would not do: it replaces bytes that are not
// UTF-8, and a quarantined body may be anything.

var errEncoding = errors.New("the entry is cut short")

// Entry is a message that is kept, and what is known about its waiting.
type Entry struct {
	Message visit.Message
	// Order is the key within which messages leave in the order in which
	// they came.
	Order string
	// Stored is when the entry came.
	Stored time.Time
	// Attempts is how often sending was tried in vain. It is part of the record's
	// state.
	Attempts int
}

// Encode returns an entry as a record that is to be sealed.
func Encode(e Entry) []byte { return AppendEntry(nil, e) }

// AppendEntry is [Encode] behind what is in b.
func AppendEntry(b []byte, e Entry) []byte {
	start := len(b)
	b = slices.Grow(b, recordBytes+512+len(e.Message.Data))
	b = append(b, make([]byte, recordBytes)...)
	b = binary.AppendVarint(b, e.Stored.UnixNano())
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
	payload := len(b) - start - recordBytes
	little.PutUint32(b[start+28:], uint32(payload))
	return append(b, make([]byte, RecordSize(payload)-int64(len(b)-start))...)
}

// Entry returns the entry of a record. Its data is part of the payload.
func (r Record) Entry() (Entry, error) {
	f := &fields{rest: r.Payload}
	e := Entry{
		Attempts: r.Attempts,
		Stored:   time.Unix(0, f.varint()).UTC(),
		Order:    f.text(),
		Message:  visit.Message{Root: visit.Root(f.text()), Subject: f.text(), ID: f.text(), Header: f.header()},
	}
	e.Message.Data = f.rest
	return e, f.err
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

// number reads a count or a length.
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
