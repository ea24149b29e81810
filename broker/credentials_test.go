package broker_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/broker/natstest"
)

func TestAuth_AcceptsACredentialsFile(t *testing.T) {
	t.Parallel()
	operator, account, system, user := keys(t, nkeys.CreateOperator), keys(t, nkeys.CreateAccount), keys(t, nkeys.CreateAccount), keys(t, nkeys.CreateUser)
	resolver := &server.MemAccResolver{}
	tenant := jwt.NewAccountClaims(account.public)
	tenant.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	for _, claims := range []*jwt.AccountClaims{tenant, jwt.NewAccountClaims(system.public)} {
		if err := resolver.Store(claims.Subject, encode(t, claims, operator)); err != nil {
			t.Fatal(err)
		}
	}
	trusted, err := jwt.DecodeOperatorClaims(encode(t, jwt.NewOperatorClaims(operator.public), operator))
	if err != nil {
		t.Fatal(err)
	}
	s := natstest.Start(t, func(o *server.Options) {
		o.TrustedOperators = []*jwt.OperatorClaims{trusted}
		o.AccountResolver = resolver
		o.SystemAccount = system.public
	})
	seed, err := user.pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(encode(t, jwt.NewUserClaims(user.public), account), seed)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "relay.creds")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	ready(t, s, func(c *broker.Config) { c.NATS.Auth.CredentialsFile = file })
}

type keyPair struct {
	pair   nkeys.KeyPair
	public string
}

func keys(t *testing.T, create func() (nkeys.KeyPair, error)) keyPair {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return keyPair{pair, public}
}

func encode(t *testing.T, claims jwt.Claims, by keyPair) string {
	t.Helper()
	token, err := claims.Encode(by.pair)
	if err != nil {
		t.Fatal(err)
	}
	return token
}
