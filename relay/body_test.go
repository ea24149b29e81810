package relay

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

func compress(body string, open func(io.Writer) io.WriteCloser) string {
	var b bytes.Buffer
	w := open(&b)
	if _, err := io.WriteString(w, body); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

func gzipped(body string) string {
	return compress(body, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
}

func zlibbed(body string) string {
	return compress(body, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) })
}

func deflated(body string) string {
	return compress(body, func(w io.Writer) io.WriteCloser {
		f, err := flate.NewWriter(w, flate.DefaultCompression)
		if err != nil {
			panic(err)
		}
		return f
	})
}

func encoded(list ...string) func(*http.Request) {
	return func(req *http.Request) { req.Header["Content-Encoding"] = list }
}

// encodings are ways of sending a body that are read, by the header that they have.
var encodings = []struct {
	name   string
	header []string
	encode func(string) string
}{
	{"a byte order mark", nil, func(s string) string { return "\ufeff" + s }},
	{"gzip", []string{"gzip"}, gzipped},
	{"gzip by its old name", []string{"X-GZip"}, gzipped},
	{"gzip in pieces", []string{"gzip"}, func(s string) string { return gzipped(s[:30]) + gzipped("") + gzipped(s[30:]) }},
	{"a byte order mark in gzip", []string{"gzip"}, func(s string) string { return gzipped("\ufeff" + s) }},
	{"deflate", []string{"deflate"}, zlibbed},
	{"deflate without zlib's header", []string{"Deflate"}, deflated},
	{"one over another", []string{"deflate, gzip"}, func(s string) string { return gzipped(zlibbed(s)) }},
	{"one over another, in two lines", []string{"gzip", "identity, deflate"}, func(s string) string { return deflated(gzipped(s)) }},
	{"none by name", []string{"identity"}, func(s string) string { return s }},
	{"an empty header", []string{" , "}, func(s string) string { return s }},
	{"gzip that a proxy has undone", []string{"gzip"}, func(s string) string { return s }},
	{"deflate that a proxy has undone", []string{"deflate"}, func(s string) string { return "\ufeff" + s }},
	{"another that a proxy has undone", []string{"br"}, func(s string) string { return s }},
	{"the name of a character set", []string{"UTF-8"}, func(s string) string { return s }},
}

// A subscriber gets the JSON, and the same call in another encoding is the same.
func TestBody_AnEncodedOneIsRead(t *testing.T) {
	t.Parallel()
	plain := newRig(t)
	plain.post("/sine/lobby", checkedIn)
	for _, e := range encodings {
		t.Run(e.name, func(t *testing.T) {
			r := newRig(t)
			w := r.post("/sine/lobby", e.encode(checkedIn), encoded(e.header...))
			if w.Code != 200 || r.settledAs(resultStored) != 1 {
				t.Fatalf("told %d %s", w.Code, w.Body)
			}
			m := r.broker.published[0]
			if m.ID != plain.broker.published[0].ID || !strings.HasSuffix(string(m.Data), `,"source":`+checkedIn+`}`) {
				t.Errorf("stored as %s: %s", m.ID, m.Data)
			}
			if w := r.post("/sine/lobby", e.encode(checkInBody), encoded(e.header...)); !strings.Contains(w.Body.String(), "SUCCESS") || len(r.broker.asked) != 1 {
				t.Errorf("a visitor was told %s", w.Body)
			}
		})
	}
}

// What cannot be undone is kept as it came, and read again it stays what it is.
func TestBody_AnEncodingThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	damaged := []byte(gzipped(checkedIn))
	damaged[len(damaged)-6] ^= 1 // in the checksum
	cut := gzipped(checkedIn)
	for _, c := range []struct {
		name, header, body string
		named              bool // its beginning names the event
	}{
		{"nothing", "gzip", "", false},
		{"a damaged body", "gzip", string(damaged), true},
		{"a body without its end", "gzip", cut[:len(cut)-9], true},
		{"something behind it", "gzip", cut + "x", true},
		{"something behind deflate", "deflate", deflated(checkedIn) + "{}", true},
		{"zlib without its end", "deflate", zlibbed(checkedIn)[:60], true},
		{"neither JSON nor gzip", "gzip", "hello", false},
		{"the wrong order", "gzip, deflate", gzipped(deflated(checkedIn)), false},
	} {
		for path, want := range map[string]string{"": "200 REJECTED", "/check-in-request": "200 REJECTED", "/check-in-success": "400 UNREADABLE"} {
			t.Run(c.name+path, func(t *testing.T) {
				r := newRig(t)
				w := r.post("/sine/lobby"+path, c.body, encoded(c.header))
				if path == "" && c.named {
					want = "400 UNREADABLE"
				}
				if got := toldIn(w.Code, w.Body.Bytes()); got != want {
					t.Errorf("told %s, want %s", got, want)
				}
				q := r.quarantined(t)
				if q.Reason != visit.ReasonBadEncoding || string(q.Body) != c.body || q.ContentEncoding != c.header || q.Cut {
					t.Errorf("kept as %s, %s, cut %v", q.Reason, q.ContentEncoding, q.Cut)
				}
				if _, err := newReader(t, nil).Event(q); err == nil || !strings.Contains(err.Error(), "still not understood: bad_encoding") {
					t.Errorf("read again: %v", err)
				}
				if !strings.Contains(r.log.String(), "content encoding ") || strings.Contains(r.log.String(), "Ada") {
					t.Errorf("the log says %s", r.log)
				}
			})
		}
	}
}

func toldIn(status int, body []byte) string {
	var told struct{ Code string }
	_ = json.Unmarshal(body, &told)
	return fmt.Sprint(status, " ", told.Code)
}

// quarantined is the only message that was stored.
func (r *rig) quarantined(t *testing.T) visit.Quarantined {
	t.Helper()
	if n := len(r.broker.published); n != 1 || r.settledAs(resultQuarantined) != 1 {
		t.Fatalf("%d messages", n)
	}
	m := r.broker.published[0]
	q, err := visit.ParseQuarantined(m.Subject, m.Header, m.Data)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// Nobody is told 200 for an event that the relay does not read, and nobody who may
// be a visitor is let in by it.
func TestBody_AnUnknownEncodingIsNamed(t *testing.T) {
	t.Parallel()
	const body = "\x8b\x3c\x80\x7bcompressed by other means\x03"
	for header, known := range map[string]string{
		"br": "br", "ZStd": "zstd", "gzip, br": "gzip, br", "compress": "compress", "Zmark": "unknown", "gzip, a b": "gzip, unknown", strings.Repeat("gzip,", 5): "unknown",
	} {
		for path, want := range map[string]string{"": "415 REJECTED", "/check-in-request": "200 SUCCESS", "/check-in-success": "415 UNKNOWN_ENCODING"} {
			t.Run(header+path, func(t *testing.T) {
				r := newRig(t, func(cfg *Config) {
					cfg.Integrations[0].Policy.Fallbacks = map[policy.Situation]policy.Fallback{policy.Unreadable: {Verdict: visit.Accept}}
				})
				w := r.post("/sine/lobby"+path, body, encoded(header))
				if got := toldIn(w.Code, w.Body.Bytes()); got != want {
					t.Errorf("told %s, want %s", got, want)
				}
				if accept := w.Header().Get("Accept-Encoding"); (accept == "gzip, deflate") != (w.Code == 415) {
					t.Errorf("%d with Accept-Encoding %q", w.Code, accept)
				}
				r.wantResult(t, resultEncoding)
				if metrics := string(gather(t, r)); !strings.Contains(metrics, `sine_relay_webhooks_refused_total{integration="lobby",reason="unknown_encoding"} 1`) {
					t.Error("it is not counted by its reason")
				}
				if q := r.quarantined(t); q.Reason != visit.ReasonUnknownEncoding || string(q.Body) != body || q.Cut || q.ContentEncoding != known {
					t.Errorf("kept as %s, %q, cut %v", q.Reason, q.ContentEncoding, q.Cut)
				}
				if strings.Contains(r.log.String(), "mark") {
					t.Errorf("the log quotes the caller: %s", r.log)
				}
			})
		}
	}
	r := newRig(t)
	failPublish(visit.ErrStreamFull)(r)
	if w := r.post("/sine/lobby/check-in-success", body, encoded("br")); w.Code != 415 || r.settledAs(resultRefused) != 1 {
		t.Errorf("one that cannot be kept was told %d %s", w.Code, w.Body)
	}
}

func TestBody_AnotherCharacterEncodingIsNamed(t *testing.T) {
	t.Parallel()
	wide := func(littleFirst bool, s string) string {
		var b []byte
		for _, u := range utf16.Encode([]rune(s)) {
			if littleFirst {
				b = append(b, byte(u), byte(u>>8))
			} else {
				b = append(b, byte(u>>8), byte(u))
			}
		}
		return string(b)
	}
	for name, body := range map[string]string{
		"UTF-16, little-endian":            wide(true, "\ufeff"+checkedIn),
		"UTF-16, big-endian":               wide(false, "\ufeff"+checkedIn),
		"UTF-16 without a mark":            wide(true, checkedIn),
		"UTF-16, the other, without":       wide(false, checkedIn),
		"Latin-1":                          strings.Replace(checkedIn, "Ada", "Ren\xe9", 1),
		"compressed, which nobody is told": gzipped(checkedIn),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			w := r.post("/sine/lobby/check-in-success", body, func(req *http.Request) { req.Header.Set("Content-Type", "application/json; charset=utf-8") })
			if w.Code != 400 {
				t.Errorf("told %d %s", w.Code, w.Body)
			}
			if q := r.quarantined(t); q.Reason != visit.ReasonNotUTF8 || string(q.Body) != body {
				t.Errorf("kept as %s", q.Reason)
			}
		})
	}
}

// The limit counts what a body becomes. It is kept as it came, all of it, so that
// it can be read once the limit is higher.
func TestBody_TheLimitCountsTheDecodedLength(t *testing.T) {
	t.Parallel()
	within := checkedIn + strings.Repeat(" ", cutAt-len(checkedIn))
	beyond := within + " "
	for name, c := range map[string]struct {
		header string
		encode func(string) string
	}{
		"gzip": {"gzip", gzipped}, "deflate": {"deflate", deflated}, "zlib": {"deflate", zlibbed},
		"gzip in gzip": {"gzip, gzip", func(s string) string { return gzipped(gzipped(s)) }},
	} {
		t.Run(name, func(t *testing.T) {
			r := tooLong(t)
			if w := r.post("/sine/lobby", c.encode(within), encoded(c.header)); !strings.Contains(w.Body.String(), "eventId") {
				t.Errorf("what is within the limit was told %d %s", w.Code, w.Body)
			}
			r = tooLong(t)
			w := r.post("/sine/lobby", c.encode(beyond), encoded(c.header))
			if got := toldIn(w.Code, w.Body.Bytes()); got != "413 TOO_LARGE" || r.results("checked_in", resultTooLarge) != 1 {
				t.Errorf("told %s", got)
			}
			q := r.quarantined(t)
			if q.Reason != visit.ReasonTooLarge || q.Cut || q.ContentEncoding != c.header || string(q.Body) != c.encode(beyond) {
				t.Errorf("kept as %s, %s, cut %v", q.Reason, q.ContentEncoding, q.Cut)
			}
			if _, err := readerOf(t, cutAt).Event(q); err == nil || !strings.Contains(err.Error(), "too_large") {
				t.Errorf("read again: %v", err)
			}
			if e, err := readerOf(t, 2*cutAt).Event(q); err != nil || e.Person.FirstName != "Ada" || string(e.Source) != beyond {
				t.Errorf("read again with a higher limit: %v", err)
			}
		})
	}
}

func readerOf(t *testing.T, limit int64) *Reader {
	t.Helper()
	limits := testLimits
	limits.Body = limit
	r, err := NewReader(testIntegrations(Integration{Name: "lobby", Site: "hq"}), limits)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A body that was compressed and did not come completely is answered by what it
// says, too.
func TestBody_TheBeginningOfACompressedOneIsRead(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 0, 4*cutAt)
	for i := range cap(noise) / 8 {
		noise = fmt.Appendf(noise, "%08x", uint32(i)*2654435761)
	}
	for event, want := range map[string]string{"signin_after": "413 TOO_LARGE", "signin_before": "200 SUCCESS", "coffee": "413 REJECTED"} {
		r := tooLong(t)
		body := gzipped(`{"event":"` + event + `","data":{"firstName":"Ada","notes":"` + string(noise) + `"}}`)
		w := r.post("/sine/lobby", body, encoded("gzip"))
		if got := toldIn(w.Code, w.Body.Bytes()); got != want || len(body) <= cutAt {
			t.Errorf("%s: told %s for %d bytes", event, got, len(body))
		}
		if q := r.quarantined(t); !q.Cut || q.ContentEncoding != "gzip" || string(q.Body) != body[:cutAt] {
			t.Errorf("%s: kept %d bytes, cut %v", event, len(q.Body), q.Cut)
		}
	}
}

// What would become a thousand times as long costs no more than the limit.
func TestBody_ABombCostsNoMoreThanTheLimit(t *testing.T) {
	const limit = 256 << 10
	zeros := strings.Repeat("0", 200*limit)
	many := strings.Repeat(gzipped(""), 10*limit/len(gzipped("")))
	for name, c := range map[string]struct {
		header string
		body   string
	}{
		"gzip":                 {"gzip", gzipped(zeros)},
		"deflate":              {"deflate", deflated(zeros)},
		"one over another":     {"gzip, gzip", gzipped(gzipped(zeros))},
		"much that is nothing": {"gzip, gzip", gzipped(many)},
	} {
		if len(c.body) > limit {
			t.Fatalf("%s: %d bytes", name, len(c.body))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s := newBody([]byte(c.body), parseEncodings(c.header), nil, limit)
		runtime.ReadMemStats(&after)
		if s.reason != visit.ReasonTooLarge || len(s.text) > limit {
			t.Errorf("%s: %d bytes, %s", name, len(s.text), s.reason)
		}
		if cost := int64(after.TotalAlloc - before.TotalAlloc); cost > BodyCost(limit) {
			t.Errorf("%s: %d bytes were taken, which counts as %d", name, cost, BodyCost(limit))
		}
	}
}

// Memory is reserved for what a body may become, and given back when it is known.
func TestBody_ACompressedOneTakesMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	body := checkedIn + strings.Repeat(" ", 10_000)
	held := int64(0)
	r.broker.publish = func(_ context.Context, _ visit.Message) (visit.Receipt, error) {
		held = r.limiter.bodies.Taken()
		return visit.Receipt{}, nil
	}
	r.post("/sine/lobby", gzipped(body), encoded("gzip"))
	if want := BodyCost(int64(len(body))); held != want || r.limiter.bodies.Taken() != 0 {
		t.Errorf("%d bytes are held, want %d, and %d after it", held, want, r.limiter.bodies.Taken())
	}
	small := newRig(t, func(cfg *Config) { cfg.Limits.BodyMemory = BodyCost(testLimits.Body) / 2 })
	if w := small.post("/sine/lobby", gzipped(body), encoded("gzip")); w.Code != 200 {
		t.Errorf("where one body fits: told %d", w.Code)
	}
}

// What was kept before encodings were undone does not say which it has.
func TestReader_ReadsAKeptBody(t *testing.T) {
	t.Parallel()
	for _, e := range encodings {
		q := kept(e.encode(checkedIn))
		q.ContentEncoding = strings.Join(e.header, ", ")
		for _, encoding := range []string{q.ContentEncoding, ""} {
			if encoding == "" && q.ContentEncoding != "gzip" {
				continue
			}
			q.ContentEncoding = encoding
			event, err := newReader(t, nil).Event(q)
			if err != nil || event.Person.FirstName != "Ada" || string(event.Source) != checkedIn {
				t.Errorf("%s, said to be %q: %v", e.name, encoding, err)
			}
			if got := strings.TrimPrefix(string(Content(q, testLimits)), "\ufeff"); got != checkedIn {
				t.Errorf("%s, said to be %q, is shown as %q", e.name, encoding, got)
			}
		}
	}
	if q := kept("\x1f\x8bx"); string(Content(q, testLimits)) != "\x1f\x8bx" {
		t.Error("what cannot be undone is not shown as it is")
	}
}

func TestDryRun_SkipsAByteOrderMark(t *testing.T) {
	t.Parallel()
	if run, err := newRig(t).DryRun(t.Context(), "lobby", []byte("\ufeff"+checkInBody)); err != nil || run.Decision.Verdict != visit.Accept {
		t.Errorf("%+v %v", run, err)
	}
}

// Whatever comes with whatever header, what it says is bounded and is what it was
// taken from.
func FuzzUndo(f *testing.F) {
	for _, e := range encodings {
		f.Add([]byte(e.encode(checkedIn)), strings.Join(e.header, ","))
		f.Add([]byte(e.encode(checkedIn))[:40], strings.Join(e.header, ","))
	}
	f.Add([]byte(gzipped(strings.Repeat("0", 2*cutAt))), "gzip")
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		list := parseEncodings(header)
		s := newBody(body, list, nil, cutAt)
		if len(s.text) > max(cutAt, len(body)) || (s.reason == "") != (s.err == nil) {
			t.Fatalf("%d bytes, %q, %v", len(s.text), s.reason, s.err)
		}
		if again := parseEncodings(strings.Join(list, ", ")); !slices.Equal(again, list) {
			t.Fatalf("%q is read again as %q", list, again)
		}
	})
}

// A program that counts its body's length wrong sends all of it, and then nothing:
// the visitor is in what came.
func TestBody_WithoutItsEndIsReadWhereNothingIsMissing(t *testing.T) {
	t.Parallel()
	more := func(n int) func(path, body string) string {
		return func(path, body string) string { return request(path, len(body)+n, body) }
	}
	compressed := func(path, body string) string {
		return strings.Replace(more(2)(path, gzipped(body)), "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1)
	}
	chunked := func(path, body string) string {
		return strings.Replace(request(path, 0, fmt.Sprintf("%x\r\n%s\r\n", len(body), body)), "Content-Length: 0", "Transfer-Encoding: chunked", 1)
	}
	for name, write := range map[string]func(path, body string) string{
		"a length that is too large": more(2), "no last chunk": chunked, "compressed": compressed,
	} {
		for _, c := range []struct{ path, body, says, fault string }{
			{"", checkedIn, "eventId", errNoEnd.Error()},
			{"/check-in-success", checkedIn, "eventId", errNoEnd.Error()},
			{"", checkInBody, "SUCCESS", errNoEnd.Error()},
			{"", inAText(checkInBody), "SUCCESS", errNoEnd.Error()},
			{"/check-in-success", checkedIn[:len(checkedIn)-1], "INCOMPLETE", ""},
			{"/check-in-success", "7", "INCOMPLETE", ""},
		} {
			t.Run(name+" "+c.path+" "+c.says, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, func(cfg *Config) {
					cfg.Limits.ReadTimeout, cfg.Limits.WriteTimeout = time.Second, 3*timeout
					cfg.Integrations[0].Budget = timeout
				})
				answer, err := http.ReadResponse(bufio.NewReader(send(t, r.serve(t), write("/sine/lobby"+c.path, c.body))), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				if err != nil || !strings.Contains(string(body), c.says) || !answer.Close {
					t.Errorf("answered %d %s, %v, closed: %v", answer.StatusCode, body, err, answer.Close)
				}
				if c.fault != "" {
					eventually(t, "a line", func() bool { return strings.Contains(r.log.String(), c.fault) })
				}
			})
		}
	}
}

// Who sends that and goes is not lost either.
func TestBody_ACompleteOneIsStoredThoughTheClientIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := send(t, r.serve(t), request("/sine/lobby", len(checkedIn)+1, checkedIn))
	conn.Close()
	eventually(t, "it is stored", func() bool { return r.settledAs(resultStored) == 1 })
}
