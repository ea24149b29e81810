package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync/atomic"

	"github.com/sine-relay/sine-relay/visit"
)

// Last names of visitors about whom the watchlist has something to say.
const (
	unlisted = "Lovelace"
	listed   = "Ripley"
	slow     = "Slow"
	broken   = "Broken"
)

// watchlist is the service that the example deciders ask. About the visitor slow it says
// nothing until it is closed or the decider hangs up.
type watchlist struct {
	*httptest.Server
	asked, waiting, hungUp atomic.Int64
	closed                 chan struct{}
}

func newWatchlist() *watchlist {
	w := &watchlist{closed: make(chan struct{})}
	w.Server = httptest.NewServer(http.HandlerFunc(w.answer))
	return w
}

func (w *watchlist) close() {
	close(w.closed)
	w.Server.Close()
}

func (w *watchlist) answer(out http.ResponseWriter, in *http.Request) {
	w.asked.Add(1)
	var person visit.Person
	if err := json.NewDecoder(in.Body).Decode(&person); err != nil || person.LastName == broken {
		http.Error(out, "out of order", http.StatusInternalServerError)
		return
	}
	if person.LastName == slow {
		w.waiting.Add(1)
		defer w.waiting.Add(-1)
		select {
		case <-in.Context().Done():
			w.hungUp.Add(1)
		case <-w.closed:
		}
		return
	}
	json.NewEncoder(out).Encode(map[string]bool{"listed": person.LastName == listed})
}
