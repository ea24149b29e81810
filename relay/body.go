package relay

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/visit"
)

// readBody returns the body, or what came of it and why no more did. Where a visitor
// may be waiting, it leaves a quarter of the budget for the response. Of a body that
// is too large it returns the beginning and errTooLarge.
func (r *Relay) readBody(x *exchange) (body []byte, err error) {
	limit, length := r.limits.Body, x.req.ContentLength
	if !x.kind.IsEvent() || length > limit {
		x.conn.readUntil(r.readDeadline(x))
	}
	if length >= 0 {
		body = make([]byte, min(length, limit))
		var read int
		read, err = io.ReadFull(x.req.Body, body)
		body = body[:read]
	} else {
		body, err = readAll(x.req.Body, limit+1)
	}
	x.conn.endedBy(err)
	if length > limit || int64(len(body)) > limit {
		r.discardRest(x)
		return body[:min(int64(len(body)), limit)], errTooLarge
	}
	if err == nil {
		x.conn.complete()
	}
	return body, err
}

func (r *Relay) readDeadline(x *exchange) time.Time {
	return x.start.Add(min(r.limits.ReadTimeout, x.in.Budget*3/4))
}

// errTooLarge means that a body is larger than the relay reads.
var errTooLarge = errors.New("the body is too large")

// maxDiscard is how much of a body that is too large is read and thrown away, so that
// a client that goes on writing comes to read the response: many do not before they
// have sent everything, and find the connection reset instead.
const maxDiscard = 4 << 20

// discardRest reads on for as long as a visitor may wait.
func (r *Relay) discardRest(x *exchange) {
	x.conn.readUntil(r.readDeadline(x))
	_, err := io.CopyN(io.Discard, x.req.Body, maxDiscard)
	if errors.Is(err, io.EOF) {
		x.conn.complete()
		return
	}
	x.conn.endedBy(err)
}

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

// acceptEncoding are the content encodings that are decoded.
const acceptEncoding = "gzip, deflate"

// maxEncodings is how many encodings a body may have, one over another.
const maxEncodings = 4

var (
	// errEncoding means that a body has a content encoding that is not decoded.
	errEncoding = errors.New("not supported; gzip and deflate are")
	// errTrailing means that something follows what was compressed.
	errTrailing = errors.New("bytes follow the compressed data")
	// errNoEnd means that a body is longer by its header than what came, which is
	// complete JSON all the same.
	errNoEnd = errors.New("the body is shorter than its header says; the JSON in it is complete")
)

// encodingNames are those that are logged by name. A client's own words must not get
// into the log and the messages.
var encodingNames = []string{"gzip", "x-gzip", "deflate", "br", "zstd", "compress", "x-compress", unknown}

// encodingsOf are a body's content encodings in the order in which they were
// applied. Any other name is called unknown.
func encodingsOf(h http.Header) []string {
	return parseEncodings(strings.Join(h.Values("Content-Encoding"), ","))
}

func parseEncodings(list string) (names []string) {
	for name := range strings.SplitSeq(strings.ToLower(list), ",") {
		name = strings.TrimSpace(name)
		switch {
		case name == "", name == "identity":
			continue
		case !slices.Contains(encodingNames, name):
			name = unknown
		}
		names = append(names, name)
	}
	if len(names) > maxEncodings {
		return []string{unknown}
	}
	return names
}

// body is a body as it came, and what it says.
type body struct {
	raw       []byte
	encodings []string
	// cut is set when raw is only the beginning.
	cut bool
	// content is the body without its encodings, no longer than the limit, and text
	// is that without a byte order mark. Where there is a reason, they are what could
	// be read of the beginning.
	content, text []byte
	// reason is why the text is not the whole, and err what was wrong, also where
	// that did no harm.
	reason visit.Reason
	err    error
}

// newBody finds out what a body says. err is how reading it ended.
func newBody(raw []byte, encodings []string, err error, limit int64) body {
	b := body{raw: raw, encodings: encodings, cut: err != nil}
	b.content, b.err = decompress(raw, encodings, limit)
	b.text = bytes.TrimPrefix(b.content, fields.ByteOrderMark)
	switch {
	case errors.Is(err, errTooLarge):
		b.reason, b.err = visit.ReasonTooLarge, nil
	case err != nil && b.err == nil && isWhole(b.text):
		b.cut, b.err = false, errNoEnd
	case err != nil:
		b.reason, b.err = visit.ReasonIncomplete, nil
	case errors.Is(b.err, errTooLarge):
		b.reason = visit.ReasonTooLarge
	case errors.Is(b.err, errEncoding):
		b.reason = visit.ReasonUnknownEncoding
	case b.err != nil:
		b.reason = visit.ReasonBadEncoding
	}
	return b
}

// decompress undoes encodings, the last first. With an error it returns what could
// be read, up to the limit. What is JSON as it came has no encoding any more,
// whatever its header says: a proxy has decoded it, or it names a character set.
func decompress(body []byte, encodings []string, limit int64) ([]byte, error) {
	if len(encodings) == 0 || fields.IsJSON(body) {
		return body, nil
	}
	for i := len(encodings) - 1; i >= 0; i-- {
		decoded, err := decompressOne(body, encodings[i], limit)
		switch {
		case err != nil && i > 0: // what it holds is encoded as well
			return nil, fmt.Errorf("content encoding %s: %w", encodings[i], err)
		case err != nil:
			return decoded, fmt.Errorf("content encoding %s: %w", encodings[i], err)
		}
		body = decoded
	}
	return body, nil
}

// isWhole reports whether a body is JSON that nothing can be missing of: an object,
// or a text that may hold one.
func isWhole(text []byte) bool {
	kind := jsontext.Value(text).Kind()
	return (kind == '{' || kind == '"') && fields.IsJSON(text)
}

func decompressOne(body []byte, encoding string, limit int64) ([]byte, error) {
	switch encoding {
	case "gzip", "x-gzip":
		return inflate(body, limit, func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) })
	case "deflate":
		return inflateEither(body, limit)
	default:
		return nil, errEncoding
	}
}

// inflateEither: deflate is zlib's format, and many send it without zlib's header.
func inflateEither(body []byte, limit int64) ([]byte, error) {
	text, err := inflate(body, limit, func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) })
	if err == nil || errors.Is(err, errTooLarge) {
		return text, err
	}
	bare, bareErr := inflate(body, limit, func(r io.Reader) (io.Reader, error) { return flate.NewReader(r), nil })
	if bareErr == nil || errors.Is(err, zlib.ErrHeader) {
		return bare, bareErr
	}
	return text, err
}

// inflate reads no more than the limit, however much more there would be.
func inflate(body []byte, limit int64, open func(io.Reader) (io.Reader, error)) ([]byte, error) {
	rest := bytes.NewReader(body)
	in, err := open(rest)
	if err != nil {
		return nil, err
	}
	text, err := readAll(in, limit+1)
	switch {
	case int64(len(text)) > limit:
		return text[:limit], errTooLarge
	case err == nil && rest.Len() > 0:
		return text, errTrailing
	}
	return text, err
}

// gzipMark is what gzip's format begins with, and no JSON.
var gzipMark = []byte{0x1f, 0x8b}

// encodingsOfKept are those of a body in the quarantine. Those that were kept by
// releases that did not undo encodings do not say so.
func encodingsOfKept(q visit.Quarantined) []string {
	if q.ContentEncoding == "" && bytes.HasPrefix(q.Body, gzipMark) {
		return []string{"gzip"}
	}
	return parseEncodings(q.ContentEncoding)
}
