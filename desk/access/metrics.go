package access

import (
	"github.com/prometheus/client_golang/prometheus"
)

// result is how a sign-in ended.
type result string

const (
	signedIn     result = "signed_in"
	noRole       result = "no_role"
	denied       result = "denied"        // by the provider
	unknown      result = "unknown"       // not begun here, too old, or used
	invalidCode  result = "invalid_code"  // to the provider
	invalidToken result = "invalid_token" // of the provider
	unavailable  result = "unavailable"   // is the provider
	limited      result = "limited"
	failed       result = "failed" // by the desk's own doing
)

var results = []result{signedIn, noRole, denied, unknown, invalidCode, invalidToken, unavailable, limited, failed}

// refusal is why a request did not get to a page, beside a sign-in that is needed.
type refusal string

const (
	crossOrigin refusal = "cross_origin"
	address     refusal = "address" // not the proxy's, or not of this machine
	host        refusal = "host"    // not a name of this machine
	header      refusal = "header"  // of the proxy is missing or invalid
	withoutRole refusal = "no_role"
	expired     refusal = "no_session" // where a sign-in cannot follow
)

var refusals = []refusal{crossOrigin, address, host, header, withoutRole, expired}

type metrics struct {
	signIns, refused *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sine_relay", Subsystem: "desk", Name: "sign_ins_total",
			Help: "Attempts to sign in to the desk with the OpenID provider, by result."}, []string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "sine_relay", Subsystem: "desk", Name: "requests_refused_total",
			Help: "Requests that were refused before they reached a page of the desk, by reason."}, []string{"reason"}),
	}
	reg.MustRegister(m.signIns, m.refused)
	for _, r := range results {
		m.signIns.WithLabelValues(string(r))
	}
	for _, r := range refusals {
		m.refused.WithLabelValues(string(r))
	}
	return m
}
