package relay

import (
	"context"
	"net/http"

	"github.com/sine-relay/sine-relay/visit"
)

type trialKey struct{}

// Trials answers calls that try the relay out. They need a key and are answered as
// any other call, and all that comes of them is marked as synthetic. It is for the
// admin listener: were the mark taken from outside, whoever has a key could have
// visitors taken for nobody.
//
// A call must say of itself that it is one, by [visit.HeaderSynthetic]. Otherwise
// Sine's own calls, routed here by mistake, would be answered and be nobody, too.
func (r *Relay) Trials() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get(visit.HeaderSynthetic) != "true" {
			http.Error(w, "Calls of Sine are not answered here. One that tries the relay out has the header "+visit.HeaderSynthetic+": true.", http.StatusNotFound)
			return
		}
		r.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), trialKey{}, true)))
	})
}
