// Package wal is a log of segments: entries that are appended and synced for many at
// once, each with a state that is overwritten in place.
//
// It promises that what was acknowledged is found again with its state, that what was not
// is recognised as such or found whole, and that damage is noticed: by a checksum for
// each record, and by the end that is written down when a segment is full or closed. A
// segment leaves as a whole, and with it all that was in it. When to write, what to keep
// and what becomes of a damaged segment are left to the user.
package wal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// The log is a directory of segments, files of the name "%016x.log" with rising
// numbers. A segment has its full size from the start: a header in a sector of its
// own, and records, each at a multiple of 8 bytes. All numbers are little-endian.
//
// The header, of which the last word is overwritten in place, and all of it where a
// segment begins anew:
//
//	 0  magic, with the version of the layout
//	 8  number, as in the name
//	16  random id of the segment
//	24  the last sequence that was given out when the segment was made
//	32  size of the file
//	40  CRC-32C of the above, and 4 bytes that are 0
//	48  end: the offset up to which all was acknowledged, and a CRC-32C of that.
//	    It is written when the segment is full or closed, and 0 before.
//
// A record, of which the state is overwritten in place:
//
//	 0  magic
//	 4  CRC-32C of bytes 8 to 32 and of the payload
//	 8  id of the segment: what lies in the file from elsewhere does not count
//	16  sequence
//	24  offset at which the batch begins that was written and synced together
//	28  length of the payload
//	32  state: attempts in 24 bits, the state in 8, and a CRC-32C of that.
//	    A word that is not understood counts as waiting, without attempts.
//	40  payload, an encoded entry, and zeros up to a multiple of 8
//
// A batch begins only once the one before it is acknowledged. So bytes that are not
// a record are damage where a record of a later batch follows, or where the end
// says that they were acknowledged. Otherwise they are a torn tail, which was never
// acknowledged. What was overwritten at the end of a segment that was neither full
// nor closed cannot be distinguished from that. A file that is cut always can: its size is in
// its header, and the segment has its name only once that is synced.
const (
	segmentMagic = "SINEspl\x01"
	recordMagic  = "sREC"
	headerBytes  = 512
	endOffset    = 48
	stateOffset  = 32
	recordBytes  = 40

	// Suffix ends the name of a segment, and SuffixDraft that of one that is not
	// published.
	Suffix      = ".log"
	SuffixDraft = ".new"
)

// State says whether an entry waits. Values that are not known count as waiting: an
// entry that is sent again is recognised by its id.
type State uint8

const (
	Waiting State = 1
	Sent    State = 2

	// MaxAttempts is the highest number of them that a record can have.
	MaxAttempts = 1<<24 - 1
)

var (
	little     = binary.LittleEndian
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

func checksum(parts ...[]byte) (sum uint32) {
	for _, p := range parts {
		sum = crc32.Update(sum, castagnoli, p)
	}
	return sum
}

// Name is the name of the segment of a number.
func Name(number uint64) string { return fmt.Sprintf("%016x%s", number, Suffix) }

// DraftName is its name before it is published.
func DraftName(number uint64) string { return fmt.Sprintf("%016x%s", number, SuffixDraft) }

// Number is the number in the name of a segment, a draft or a damaged segment; 0
// where it is neither.
func Number(name string) uint64 {
	digits, _, _ := strings.Cut(name, ".")
	number, err := strconv.ParseUint(digits, 16, 64)
	if err != nil || len(digits) != 16 {
		return 0
	}
	return number
}

// Header is what a segment says of itself.
type Header struct {
	Number uint64 // as in the name of its file
	ID     uint64
	Last   uint64 // sequence that was given out when it began
	Size   int64
}

func (h Header) encode() []byte {
	b := append(make([]byte, 0, headerBytes), segmentMagic...)
	for _, v := range []uint64{h.Number, h.ID, h.Last, uint64(h.Size)} {
		b = little.AppendUint64(b, v)
	}
	return little.AppendUint32(b, checksum(b))[:headerBytes]
}

func decodeHeader(b []byte) (Header, error) {
	switch {
	case len(b) < headerBytes:
		return Header{}, errors.New("it is shorter than a header")
	case !bytes.HasPrefix(b, []byte(segmentMagic)):
		return Header{}, errors.New("it is not a segment of this version")
	case little.Uint32(b[40:]) != checksum(b[:40]):
		return Header{}, errors.New("its header has the wrong checksum")
	}
	return Header{little.Uint64(b[8:]), little.Uint64(b[16:]), little.Uint64(b[24:]), int64(little.Uint64(b[32:]))}, nil
}

// word is a number with a checksum that is bound to its place, written at once.
func word(id, position uint64, value uint32) []byte {
	b := little.AppendUint32(make([]byte, 0, 24), value)
	bound := little.AppendUint64(little.AppendUint64(b, id), position)
	return little.AppendUint32(b, checksum(bound))
}

// wordAt returns 0 where the word is not one that was written there.
func wordAt(b []byte, id, position uint64) uint32 {
	if value := little.Uint32(b); bytes.Equal(word(id, position, value), b[:8]) {
		return value
	}
	return 0
}

func stateWord(id, sequence uint64, s State, attempts int) []byte {
	return word(id, sequence, uint32(s)<<24|uint32(min(attempts, MaxAttempts)))
}

// Seal makes b, which is as [Encode] returns it, a record of the next batch.
func (g *Segment) Seal(b []byte, sequence uint64, attempts int) {
	copy(b, recordMagic)
	little.PutUint64(b[8:], g.ID)
	little.PutUint64(b[16:], sequence)
	little.PutUint32(b[24:], uint32(g.end))
	little.PutUint32(b[4:], checksum(b[8:32], payloadOf(b)))
	copy(b[stateOffset:], stateWord(g.ID, sequence, Waiting, attempts))
}

func payloadOf(b []byte) []byte { return b[recordBytes : recordBytes+int(little.Uint32(b[28:]))] }

// Record is a record as it was found.
type Record struct {
	ID       uint64 // of its segment
	Sequence uint64
	Offset   int64 // in the segment
	Begin    int64 // of the batch
	State    State
	Attempts int
	Payload  []byte
	whole    []byte
}

// Size is what it takes up.
func (r Record) Size() int64 { return RecordSize(len(r.Payload)) }

// Value is the record as [Encode] returns it, to be sealed anew.
func (r Record) Value() []byte { return r.whole[:r.Size()] }

// RecordSize is what a payload takes up in a segment.
func RecordSize(payload int) int64 { return (int64(recordBytes+payload) + 7) &^ 7 }

// decodeRecord returns the record with which b begins, if it is whole.
func decodeRecord(b []byte) (r Record, ok bool) {
	if len(b) < recordBytes || string(b[:4]) != recordMagic || int64(len(b)) < recordBytes+int64(little.Uint32(b[28:])) {
		return Record{}, false
	}
	r = Record{ID: little.Uint64(b[8:]), Sequence: little.Uint64(b[16:]), Begin: int64(little.Uint32(b[24:])), Payload: payloadOf(b), whole: b}
	w := wordAt(b[stateOffset:], r.ID, r.Sequence)
	r.State, r.Attempts = State(w>>24), int(w&MaxAttempts)
	return r, little.Uint32(b[4:]) == checksum(b[8:32], r.Payload)
}

// Mark is a state that is to be written.
type Mark struct {
	Place
	Sequence uint64
	State    State
	Attempts int
}

// WriteMarks writes states in place, and syncs each segment once.
func WriteMarks(marks []Mark) (err error) {
	touched := make(map[*Segment]bool)
	for _, m := range marks {
		_, failed := m.Segment.file.WriteAt(stateWord(m.Segment.ID, m.Sequence, m.State, m.Attempts), int64(m.Offset)+stateOffset)
		if failed != nil {
			err = errors.Join(failed, err)
			break
		}
		touched[m.Segment] = true
	}
	for g := range touched {
		err = errors.Join(err, g.file.Sync())
	}
	return err
}
