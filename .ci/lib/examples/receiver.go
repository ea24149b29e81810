package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
)

// receiver takes events by HTTP, as a team's service does or as an object store, which
// gets an object by PUT.
type receiver struct {
	*httptest.Server
	refusing atomic.Bool
	mu       sync.Mutex
	got      map[string][]arrived // by path
}

func newReceiver() *receiver {
	r := &receiver{got: map[string][]arrived{}}
	r.Server = httptest.NewServer(r)
	return r
}

// refuse begins to take nothing.
func (r *receiver) refuse() (release func()) {
	r.refusing.Store(true)
	return func() { r.refusing.Store(false) }
}

func (r *receiver) ServeHTTP(out http.ResponseWriter, in *http.Request) {
	if r.refusing.Load() {
		http.Error(out, "not now", http.StatusServiceUnavailable)
		return
	}
	body, err := io.ReadAll(in.Body)
	if err != nil {
		http.Error(out, "the body ended early", http.StatusBadRequest)
		return
	}
	a := arrived{id: in.Header.Get("ce-id"), body: string(body), headers: map[string]string{}}
	for name := range in.Header {
		a.headers[strings.ToLower(name)] = in.Header.Get(name)
	}
	if in.Method == http.MethodPut {
		a.id = strings.TrimSuffix(path.Base(in.URL.Path), ".json")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got[in.URL.Path] = append(r.got[in.URL.Path], a)
}

// under are the events that came to paths that begin so.
func (r *receiver) under(prefix string) (all []arrived) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, some := range r.got {
		if strings.HasPrefix(at, prefix) {
			all = append(all, some...)
		}
	}
	return all
}
