package relay

import "io"

const (
	// bodyCopies is how many times its length a body takes up at most while
	// its event is stored: as it came; as the source of the message; in the
	// message's typed fields, where escaping may double what it escapes; and the
	// message once more where it is encoded for the spool. TestABodyCosts…
	// measures all but the last, which is as long as the message.
	bodyCopies = 6
	// callCost is what a call takes up beside its body: its goroutines' stacks,
	// the buffers of its connection, headers, and what is noted of it. Measured
	// likewise, with bodies of 200 bytes.
	callCost = 24 << 10
)

// BodyCost is the memory in bytes that a call with a body of that length takes up
// at most, and by which the body counts towards [Limits.BodyMemory].
func BodyCost(length int64) int64 { return bodyCopies*length + callCost }

// firstRead is how much is read of a body at first whose length is not known.
const firstRead = 8 << 10

// readAll reads up to limit bytes. Unlike [io.ReadAll] it leaves behind few
// buffers that were too small, and none larger than the limit.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b := make([]byte, 0, min(firstRead, limit))
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF:
			return b, nil
		case err != nil || int64(len(b)) == limit:
			return b, err
		case len(b) == cap(b):
			larger := make([]byte, len(b), min(4*int64(cap(b)), limit))
			copy(larger, b)
			b = larger
		}
	}
}
