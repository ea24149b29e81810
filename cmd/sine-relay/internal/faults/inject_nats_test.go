//go:build linux && faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"

	"github.com/sine-relay/sine-relay/visit"
)

// streamFull has the stream refuse everything new.
func streamFull(r *fixture, lasting time.Duration, _ int) error {
	r.stream.Lock()
	defer r.stream.Unlock()
	err := r.auditor.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	hold(lasting)
	return errors.Join(err, r.auditor.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = -1 }))
}

// streamDeleted takes the stream away while messages are on their way to it. The relays
// that run send again what was in it, once they have noticed.
func streamDeleted(r *fixture, lasting time.Duration, _ int) error {
	x := excuse{reordered: true, from: time.Now()}
	all, err := r.auditor.messages(visit.DefaultEventStream)
	if err == nil {
		err = r.auditor.delete(visit.DefaultEventStream)
	}
	x.until = time.Now()
	r.excuse(x.of(all))
	hold(lasting)
	return err
}

// of is an excuse for messages. Of them, all may be missing unless they are reordered.
func (x excuse) of(all []message) excuse {
	for _, m := range all {
		x.ids = append(x.ids, m.id())
	}
	if !x.reordered {
		x.most = len(all)
	}
	return x
}

// fullStreamDeleted first has the stream take no more, so that it is known what
// was destroyed: a relay that does not run at the time finds an empty stream, and does
// not know that it had messages.
func fullStreamDeleted(r *fixture, lasting time.Duration, _ int) error {
	r.stream.Lock()
	defer r.stream.Unlock()
	from := time.Now()
	err := r.auditor.change(func(c *jetstream.StreamConfig) { c.MaxMsgs = 1 })
	var lost []message
	if err == nil {
		lost, err = r.atRest()
	}
	if err == nil {
		err = r.auditor.delete(visit.DefaultEventStream)
		r.excuse(excuse{from: from, until: time.Now()}.of(lost))
	}
	hold(lasting)
	return err
}

// atRest reads a stream that takes no more. What its leader had accepted before
// may still come in, for as long as the others take to agree.
func (r *fixture) atRest() ([]message, error) {
	last := -1
	for end := time.Now().Add(patience); time.Now().Before(end); hold(100 * time.Millisecond) {
		all, err := r.auditor.messages(visit.DefaultEventStream)
		if err != nil || len(all) == last {
			return all, err
		}
		last = len(all)
	}
	return nil, errors.New("a full stream goes on growing")
}

// delete takes a stream away, and not the one that a relay makes in its place.
func (a *auditor) delete(name string) error {
	var first time.Time
	return persist("the stream is deleted", func(ctx context.Context) error {
		info, err := a.info(ctx, name)
		switch {
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return nil // an earlier try did it
		case err != nil:
			return err
		case first.IsZero():
			first = info.Created
		case !first.Equal(info.Created):
			return nil // likewise
		}
		return a.js.DeleteStream(ctx, name)
	})
}

// permissionRevoked denies the relays to publish events.
func permissionRevoked(r *fixture, lasting time.Duration, _ int) error {
	return r.whileAdmitting(passwords(relayPassword, "visitors.v1.event.>"), lasting)
}

// passwordChanged locks the relays out.
func passwordChanged(r *fixture, lasting time.Duration, _ int) error {
	return r.whileAdmitting(passwords("another"), lasting)
}

func (r *fixture) whileAdmitting(auth string, lasting time.Duration) error {
	r.rights.Lock()
	defer r.rights.Unlock()
	err := each(r.nodes, func(n *node) error { return n.reload(auth) })
	hold(lasting)
	return errors.Join(err, each(r.nodes, func(n *node) error { return n.reload(passwords(relayPassword)) }))
}

func (n *node) reload(auth string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.admit(auth)
}

// credentialsExpire waits until the relay's time is over, and gives it new ones.
func credentialsExpire(r *fixture, lasting time.Duration, _ int) error {
	one := r.relays[0]
	err := await("the credentials expire", func() bool {
		m, err := one.read()
		return err == nil && m[`sine_relay_nats_connected{connection="events"}`] == 0
	})
	hold(lasting)
	r.issuer.issue(r.creds, time.Time{})
	return err
}

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
