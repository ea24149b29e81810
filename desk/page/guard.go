package page

import (
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// Policy lets a page run, show and send to nothing but the desk.
const Policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// maxForm bounds what a form may send, in bytes.
const maxForm = 64 << 10

// Guard sets the headers of every answer, bounds what is read of a request, and answers
// where next panics. Each request is counted.
func Guard(next http.Handler, log *slog.Logger, reg prometheus.Registerer, failed http.HandlerFunc) http.Handler {
	counted := newRequests(reg)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", Policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		// With no-referrer, browsers would send "Origin: null" with a form, and one that
		// does not send Sec-Fetch-Site either could post nothing.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
		h.Set("Cache-Control", "no-store")
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		seen := &recorder{ResponseWriter: w}
		defer func() {
			p := recover()
			if p != nil && p != http.ErrAbortHandler {
				// The value may quote what somebody entered: its type is enough.
				log.Error("panic", "page", label(r), "type", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
				if seen.code == 0 {
					failed(seen, r)
				}
			}
			counted.count(r, seen.code)
			if p == http.ErrAbortHandler {
				panic(p) // net/http cuts the connection, so that the client notices
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// recorder keeps the status.
type recorder struct {
	http.ResponseWriter
	code int
}

func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.code == 0 {
		r.code = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController flush, and set deadlines.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
