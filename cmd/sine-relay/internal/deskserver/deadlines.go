package deskserver

import (
	"context"
	"net/http"
	"time"
)

// livePath is what is followed live.
const livePath = "/events"

// withDeadlines bounds how long a page may take as a whole, and of what is followed live
// each part: the server's own timeout would cut it off.
func withDeadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.URL.Path == livePath {
			control.SetReadDeadline(time.Time{}) // which would end the request's context
			w = &liveWriter{w, control}
		} else {
			control.SetWriteDeadline(time.Now().Add(pageTimeout))
		}
		next.ServeHTTP(w, r)
	})
}

// liveWriter gives each part a time of its own.
type liveWriter struct {
	http.ResponseWriter
	control *http.ResponseController
}

func (w *liveWriter) Write(part []byte) (int, error) {
	w.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.ResponseWriter.Write(part)
}

// FlushError and Unwrap are for http.ResponseController.
func (w *liveWriter) FlushError() error {
	w.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	return w.control.Flush()
}

func (w *liveWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// untilEnding ends what is followed live when ctx does: a shutdown would wait for it.
func untilEnding(ctx context.Context, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == livePath {
			live, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			r = r.WithContext(live)
		}
		next.ServeHTTP(w, r)
	})
}
