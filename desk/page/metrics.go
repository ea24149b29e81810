package page

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// labels are the values of the label page. None says who is looking, or at whom.
var labels = []string{"doors", "live", "events", "visit", "decisions", "orders", "quarantine", "try", "audit", "static", "other"}

// requests counts them.
type requests struct{ total *prometheus.CounterVec }

func newRequests(reg prometheus.Registerer) requests {
	c := requests{prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "sine_relay_desk_requests_total", Help: "Requests to the desk, by page and class of the status.",
	}, []string{"page", "code"})}
	reg.MustRegister(c.total)
	for _, page := range labels {
		for _, code := range []string{"2xx", "3xx", "4xx", "5xx"} {
			c.total.WithLabelValues(page, code)
		}
	}
	return c
}

// count counts one.
func (c requests) count(r *http.Request, code int) {
	if code == 0 {
		code = http.StatusOK
	}
	c.total.WithLabelValues(label(r), strconv.Itoa(code/100)+"xx").Inc()
}

// label is the page of a request, by the first part of its path.
func label(r *http.Request) string {
	page, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	page = strings.TrimSuffix(page, ".csv")
	switch {
	case page == "":
		return "doors"
	case page == "doors" || !slices.Contains(labels, page):
		return "other"
	default:
		return page
	}
}
