package visit

import (
	"bytes"
	"encoding/json"
	"sync"
)

const sourceField = `,"source":`

// marshal encodes head, an object with at least one field, and splices source
// in as its last field. json.Marshal would compact a RawMessage and escape
// parts of it, and Sine's bytes would not be Sine's any more.
func marshal(head any, source Source) ([]byte, error) {
	b := heads.Get().(*bytes.Buffer)
	defer keepHead(b)
	b.Reset()
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(head); err != nil {
		return nil, err
	}
	encoded := bytes.TrimSuffix(b.Bytes(), []byte("}\n"))
	// As long as it is and no longer: it may wait for seconds to be stored.
	out := make([]byte, 0, len(encoded)+len(sourceField)+len(source)+1)
	out = append(out, encoded...)
	if len(source) > 0 {
		out = append(out, sourceField...)
		out = append(out, source...)
	}
	return append(out, '}'), nil
}

// heads are buffers in which heads are encoded.
var heads = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// keepHead gives a buffer back, unless it has become large.
func keepHead(b *bytes.Buffer) {
	if b.Cap() <= 32<<10 {
		heads.Put(b)
	}
}

func unmarshal(data []byte, into any) error { return json.Unmarshal(data, into) }

// sourceBytes widens parsed, the value of the last field "source" in object,
// by the white space around it, which the decoder leaves out and Sine sent. A
// message in which source is not last was not written by the relay: there the
// decoder's view is kept.
func sourceBytes(object []byte, parsed Source) Source {
	if len(parsed) == 0 {
		return parsed
	}
	body, closed := bytes.CutSuffix(bytes.TrimRight(object, " \t\r\n"), []byte("}"))
	if !closed {
		return parsed
	}
	end := bytes.TrimRight(body, " \t\r\n")
	if !bytes.HasSuffix(end, parsed) {
		return parsed
	}
	start := len(bytes.TrimRight(end[:len(end)-len(parsed)], " \t\r\n"))
	if !bytes.HasSuffix(body[:start], []byte(sourceField)) {
		return parsed
	}
	return bytes.Clone(body[start:])
}
