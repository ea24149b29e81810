package deskserver

import (
	"net/http"
	"time"
)

// livePath is what is followed live, for as long as a page is open.
const livePath = "/events"

// withDeadlines bounds how long a page may take. What is followed live sets a deadline for
// each of its parts: those of the server would end it.
func withDeadlines(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		if r.URL.Path == livePath {
			control.SetReadDeadline(time.Time{}) // which would end the request's context
		} else {
			control.SetWriteDeadline(time.Now().Add(pageTimeout))
		}
		next.ServeHTTP(w, r)
	})
}
