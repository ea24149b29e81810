package relay

import (
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// AdminServer returns a server for the admin listener: /metrics, /livez and
// /readyz. It is for people and machines inside; it asks for no key, so it must
// never be routed from outside.
func AdminServer(gather prometheus.Gatherer, readiness *Readiness) *http.Server {
	routes := http.NewServeMux()
	routes.Handle("GET /metrics", promhttp.HandlerFor(gather, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	routes.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		// Never depends on NATS: a restart would not bring it back.
		fmt.Fprintln(w, "ok")
	})
	routes.HandleFunc("GET /readyz", func(w http.ResponseWriter, req *http.Request) {
		state, health := readiness.State()
		if !state.Ready {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		fmt.Fprintln(w, state)
		if req.URL.Query().Has("verbose") {
			for _, line := range health.Details {
				fmt.Fprintln(w, line)
			}
		}
	})
	return &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
}
