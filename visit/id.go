package visit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
)

// idAlphabet has 32 characters that cannot be mistaken for one another when read
// aloud or copied by hand: no 0 and O, no 1 and I.
const idAlphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

const (
	requestIDLength = 20
	referenceLength = 5
)

// NewRequestID returns 20 characters with 100 random bits. They identify one webhook
// in the header of its response, the log, the messages and the decision records.
func NewRequestID() string {
	var b [requestIDLength]byte
	rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	for i := range b {
		b[i] = idAlphabet[b[i]%byte(len(idAlphabet))]
	}
	return string(b[:])
}

// Reference is the short form of a request id, five characters, which a visitor can
// read out to reception.
func Reference(requestID string) string {
	if len(requestID) < referenceLength {
		return requestID
	}
	return requestID[:referenceLength]
}

// EventID returns the id of an event: 32 hexadecimal digits. A webhook that is sent
// again gets the same id when its bytes say when it happened. The id is derived, in
// order of preference, from
//
//   - the body's bytes, when the date in them is precise to the second or better, or
//     Sine sent an id of the pass or visit and any date,
//   - the id of the request that is replayed, if any,
//   - random bits: losing a visitor is worse than counting one twice.
//
// Two bodies that differ in one byte are two events, whatever ids and dates they
// share: those who arrive as a group may share both. The time of receipt is never
// part of the id. It is the first half of a SHA-256 over the parts, each preceded
// by its length in eight bytes.
func EventID(integration string, kind Kind, f Fingerprint) string {
	switch {
	case f.PreciseDate || (f.PassID != "" && f.Date != ""):
		return digest([]byte(integration), []byte(kind), []byte("body"), f.Body)
	case f.ReplayedRequestID != "":
		return digest([]byte(integration), []byte(kind), []byte("call"), []byte(f.ReplayedRequestID))
	default:
		var b [16]byte
		rand.Read(b[:])
		return hex.EncodeToString(b[:])
	}
}

// Fingerprint is what distinguishes one event from another; see [EventID].
type Fingerprint struct {
	// PassID is Sine's id of the pass or visit as received, or empty.
	PassID string
	// Date is the event's date as received, or empty.
	Date string
	// PreciseDate is set when Date could be read and is precise to the
	// second or better.
	PreciseDate bool
	// Body is the whole body, as [Event.Source].
	Body []byte
	// ReplayedRequestID is the request id under which a body in the quarantine came
	// that is replayed, or empty.
	ReplayedRequestID string
}

// NewVisitKey returns the key of a visit by Sine's id of the pass or visit, which is
// empty when Sine sent none.
func NewVisitKey(id string) VisitKey {
	switch {
	case id == "":
		return VisitKey{Basis: VisitKeyNone}
	case consistsOf(id, "._:-", 1, 128):
		return VisitKey{Value: id, Basis: VisitKeyFromSine}
	default:
		return VisitKey{Value: digest([]byte("visit"), []byte(id)), Basis: VisitKeyFromSine}
	}
}

func digest(parts ...[]byte) string {
	h := sha256.New()
	var length [8]byte
	for _, p := range parts {
		binary.BigEndian.PutUint64(length[:], uint64(len(p)))
		h.Write(length[:])
		h.Write(p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
