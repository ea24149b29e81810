package desk

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics is what the desk counts. No label says who is looking, or at whom.
type metrics struct {
	requests  *prometheus.CounterVec
	following prometheus.Gauge
	viewers   prometheus.Gauge
	dropped   *prometheus.CounterVec
}

// pageLabels are the values of the label page; everything else is "other".
var pageLabels = []string{"doors", "live", "events", "visit", "decisions", "orders", "quarantine", "try", "audit", "static", "other"}

// Reasons for which a viewer is dropped.
const (
	droppedSlow = "slow"
	droppedFull = "full"
)

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_desk_requests_total", Help: "Requests for pages of the desk, by page and class of the status.",
		}, []string{"page", "code"}),
		following: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sine_relay_desk_following", Help: "1 while the desk follows what is stored, else 0.",
		}),
		viewers: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "sine_relay_desk_viewers", Help: "Pages that are open and follow the desk.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "sine_relay_desk_viewers_dropped_total", Help: "Pages that the desk stopped to keep up to date, by reason: slow connections, and those beyond the most that may be open.",
		}, []string{"reason"}),
	}
	reg.MustRegister(m.requests, m.following, m.viewers, m.dropped)
	for _, page := range pageLabels {
		for _, code := range []string{"2xx", "3xx", "4xx", "5xx"} {
			m.requests.WithLabelValues(page, code)
		}
	}
	m.dropped.WithLabelValues(droppedSlow)
	m.dropped.WithLabelValues(droppedFull)
	return m
}

func (m *metrics) setFollowing(yes bool) {
	value := 0.0
	if yes {
		value = 1
	}
	m.following.Set(value)
}

// request counts one by the first part of its path.
func (m *metrics) request(r *http.Request, code int) {
	page, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	page = strings.TrimSuffix(page, ".csv")
	switch {
	case page == "":
		page = "doors"
	case page == "doors" || !slices.Contains(pageLabels, page):
		page = "other"
	}
	if code == 0 {
		code = http.StatusOK
	}
	m.requests.WithLabelValues(page, strconv.Itoa(code/100)+"xx").Inc()
}
