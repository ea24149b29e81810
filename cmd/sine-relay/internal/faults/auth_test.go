//go:build linux && faults

package faults

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"
)

const relayPassword = "as agreed"

// passwords is the part of a configuration by which the relay comes in with a
// password, and may publish everywhere but to what is denied.
func passwords(password string, denied ...string) string {
	for i, subject := range denied {
		denied[i] = fmt.Sprintf("%q", subject)
	}
	return fmt.Sprintf(`
accounts {
  SYS { users: [{user: sys, password: sys}] }
  VISITORS {
    jetstream: enabled
    users: [
      {user: relay, password: %q, permissions: {publish: {deny: [%s]}}}
      {user: audit, password: audit}
    ]
  }
}
system_account: SYS
`, password, strings.Join(denied, ", "))
}

// issuer makes credentials that expire.
type issuer struct {
	t       testing.TB
	account nkeys.KeyPair
	auth    string // the part of a configuration that trusts them
}

func newIssuer(t testing.TB) *issuer {
	t.Helper()
	operator, account, system := keyPair(t, nkeys.CreateOperator), keyPair(t, nkeys.CreateAccount), keyPair(t, nkeys.CreateAccount)
	i := &issuer{t: t, account: account}
	tenant := jwt.NewAccountClaims(public(t, account))
	tenant.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: -1, MemoryStorage: -1, Streams: -1, Consumer: -1}
	sys := jwt.NewAccountClaims(public(t, system))
	i.auth = fmt.Sprintf("operator: %s\nsystem_account: %s\nresolver: MEMORY\nresolver_preload { %s: %s, %s: %s }\n",
		i.sign(jwt.NewOperatorClaims(public(t, operator)), operator), sys.Subject,
		tenant.Subject, i.sign(tenant, operator), sys.Subject, i.sign(sys, operator))
	return i
}

// issue writes credentials that are good until then; zero means for ever.
func (i *issuer) issue(file string, until time.Time) {
	i.t.Helper()
	user := keyPair(i.t, nkeys.CreateUser)
	claims := jwt.NewUserClaims(public(i.t, user))
	if !until.IsZero() {
		claims.Expires = until.Unix()
	}
	seed, err := user.Seed()
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := jwt.FormatUserConfig(i.sign(claims, i.account), seed)
	if err == nil {
		err = os.WriteFile(file+".new", text, 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file) // the relay may be reading it
	}
	if err != nil {
		i.t.Fatal(err)
	}
}

func (i *issuer) sign(claims jwt.Claims, by nkeys.KeyPair) string {
	i.t.Helper()
	token, err := claims.Encode(by)
	if err != nil {
		i.t.Fatal(err)
	}
	return token
}

func keyPair(t testing.TB, create func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	t.Helper()
	pair, err := create()
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func public(t testing.TB, pair nkeys.KeyPair) string {
	t.Helper()
	key, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return key
}
