package deskserver

import (
	"context"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sine-relay/sine-relay/desk"
	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/internal/clientip"
)

// newDesk maps the settings to what the pages want.
func newDesk(o Options, b desk.Broker, reg prometheus.Registerer) (*desk.Desk, error) {
	who, err := access.New(context.Background(), accessConfig(o, reg))
	if err != nil {
		return nil, err
	}
	cfg := desk.Config{Broker: b, Access: who, Logger: o.Log, Registerer: reg, Version: o.Version, Prefix: o.Settings.SubjectPrefix}
	if o.Trier != nil {
		cfg.Trier = o.Trier(b)
	}
	return desk.New(cfg)
}

func accessConfig(o Options, reg prometheus.Registerer) access.Config {
	s := o.Settings
	cfg := access.Config{
		Roles: o.Desk.Roles, Loopback: o.Desk.Loopback, SessionKeys: s.DeskSessionKeysNow(), SessionLifetime: s.DeskSessionLifetime,
		Logger: o.Log, Registerer: reg,
	}
	switch {
	case s.DeskOIDCIssuer != "":
		cfg.OIDC = &access.OIDC{
			Issuer: s.DeskOIDCIssuer, ClientID: s.DeskOIDCClientID, ClientSecret: s.DeskClientSecretNow(),
			RedirectURL: strings.TrimSuffix(s.DeskURL, "/") + "/callback", Scopes: strings.Fields(s.DeskOIDCScopes),
			GroupsClaim: s.DeskOIDCGroupsClaim, NameClaim: s.DeskOIDCNameClaim,
		}
		cfg.ClientAddress = clientip.Proxies{Trusted: o.Desk.Proxies, Header: s.Proxies.Header}
	case s.DeskUserHeader != "":
		cfg.Proxy = &access.Proxy{UserHeader: s.DeskUserHeader, GroupsHeader: s.DeskGroupsHeader, Trusted: o.Desk.Proxies, Origin: strings.TrimSuffix(s.DeskURL, "/")}
	}
	return cfg
}
