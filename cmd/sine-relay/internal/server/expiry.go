package server

import (
	"crypto/tls"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// registerExpiry says when each certificate and the credentials end. All are
// looked at when the metrics are: a renewed file shows at once.
func registerExpiry(srv *Server, reg prometheus.Registerer) {
	s, f := srv.Settings, promauto.With(reg)
	// Of the embedded NATS, neither the credentials nor the client's
	// certificate are in use.
	natsAuth := BrokerConfig(s, srv.Embedded, nil, nil)
	f.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "sine_relay_nats_credentials_expiry_timestamp_seconds",
		Help: "Time at which the NATS credentials file expires, 0 if it does not or there is none, 1 if it cannot be read.",
	}, func() float64 { return timestamp(natsAuth.NATS.Auth.Expiry()) })

	certificates := func(name string, expiry func() (time.Time, error)) {
		f.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "sine_relay_certificate_expiry_timestamp_seconds",
			Help:        "Time at which a certificate expires, of those that are configured; 1 if it cannot be read.",
			ConstLabels: prometheus.Labels{"certificate": name},
		}, func() float64 { return timestamp(expiry()) })
	}
	if s.TLSCertFile != "" {
		certificates("public", func() (time.Time, error) { return srv.certificate.Load().Leaf.NotAfter, nil })
	}
	if srv.Embedded != nil && s.NATSListenTLSCert != "" {
		certificates("nats_listener", func() (time.Time, error) {
			certificate, err := tls.LoadX509KeyPair(s.NATSListenTLSCert, s.NATSListenTLSKey)
			if err != nil {
				return time.Time{}, err
			}
			return certificate.Leaf.NotAfter, nil
		})
	}
	if natsAuth.NATS.TLS.CertFile != "" {
		certificates("nats_client", natsAuth.NATS.TLS.Expiry)
	}
}

// timestamp is 0 for what never comes, and long ago for what cannot be read: that
// needs a person as much as what has ended.
func timestamp(at time.Time, err error) float64 {
	switch {
	case err != nil:
		return 1
	case at.IsZero():
		return 0
	}
	return float64(at.Unix())
}
