package embedded

import (
	"cmp"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/internal/atomicfile"
)

// The users of the embedded NATS. Each has a password of its own.
const (
	// UserRelay is the relay itself.
	UserRelay = "relay"
	// UserDecider answers the questions of every site.
	UserDecider = "decider"
	// UserConsumer receives events.
	UserConsumer = "consumer"
	// UserOperator gives orders and sees what was decided and not understood.
	UserOperator = "operator"
	// UserDesk is for a web page that shows visitors and gives orders.
	UserDesk = "desk"
	// UserAdmin makes, changes and deletes streams.
	UserAdmin = "admin"
)

// users in the order in which their passwords are made.
var users = []string{UserRelay, UserDecider, UserConsumer, UserOperator, UserDesk, UserAdmin}

// Names are those that the deployment gives to subjects and streams. Empty ones are
// the defaults.
type Names struct {
	SubjectPrefix, InboxPrefix                    string
	EventStream, DecisionStream, QuarantineStream string
	OrderBucket                                   string
}

// accountsFile is a copy of deploy/nats/accounts.conf, which a test compares: what a
// user may there, it may here.
//
//go:embed accounts.conf
var accountsFile string

// An edit is where the embedded NATS differs from the example for many teams.
type edit struct{ old, new string }

// edits: one decider for all sites, a consumer who makes its own durables and reads
// with any client, and a relay and a desk that make their streams themselves.
var edits = []edit{
	{`"visitors.v1.ask.hq.default q"`, `"visitors.v1.ask.*.* q"`},
	{`"$JS.API.CONSUMER.INFO.VISITORS.badges"`, `"$JS.API.CONSUMER.INFO.VISITORS.*"
            "$JS.API.CONSUMER.CREATE.VISITORS.>"
            "$JS.API.CONSUMER.DELETE.VISITORS.*"
            "$JS.API.CONSUMER.NAMES.VISITORS"
            "$JS.API.CONSUMER.LIST.VISITORS"
            "$JS.API.STREAM.INFO.VISITORS"
            "$JS.API.STREAM.NAMES"
            "$JS.API.STREAM.LIST"
            "$JS.API.STREAM.MSG.GET.VISITORS"
            "$JS.API.DIRECT.GET.VISITORS"
            "$JS.API.DIRECT.GET.VISITORS.>"`},
	{`"$JS.API.CONSUMER.MSG.NEXT.VISITORS.badges"`, `"$JS.API.CONSUMER.MSG.NEXT.VISITORS.*"`},
	{`            "$JS.ACK.VISITORS.badges.>"`, `            "$JS.ACK.VISITORS.>"`},
	{`            "_INBOX.>"                              # replies and events`, `            "_INBOX.>"
            "visitors.v1.event.>"`},
	{`      {service: "$JS.ACK.VISITORS.badges.>", accounts: [BADGES]}`, `      {service: "$JS.ACK.VISITORS.>", accounts: [BADGES]}
      {stream: "visitors.v1.event.>", accounts: [BADGES]}`},
	{`      {service: {account: VISITORS, subject: "$JS.ACK.VISITORS.badges.>"}}`, `      {service: {account: VISITORS, subject: "$JS.ACK.VISITORS.>"}}
      {stream: {account: VISITORS, subject: "visitors.v1.event.>"}}`},
	{`            "$JS.API.DIRECT.GET.VISITOR_DESK"       # to`, `            "$JS.API.STREAM.CREATE.VISITOR_DESK"
            "$JS.API.DIRECT.GET.VISITOR_DESK"       # to`},
	{`            "$JS.API.STREAM.NAMES"                  # that no`, `            "$JS.API.STREAM.CREATE.VISITORS"
            "$JS.API.STREAM.CREATE.VISITOR_DECISIONS"
            "$JS.API.STREAM.CREATE.VISITOR_QUARANTINE"
            "$JS.API.STREAM.CREATE.KV_VISITOR_ORDERS"
            "$JS.API.STREAM.NAMES"                  # that no`},
}

// setAccounts gives the server its accounts, users and permissions.
func setAccounts(o *server.Options, names Names, passwords map[string]string) error {
	text := accountsFile
	for _, e := range edits {
		if !strings.Contains(text, e.old) {
			return fmt.Errorf("the embedded accounts have no %q", e.old)
		}
		text = strings.Replace(text, e.old, e.new, 1)
	}
	var variables strings.Builder
	for _, user := range users {
		fmt.Fprintf(&variables, "%s_PASSWORD: none\n", strings.ToUpper(user))
	}
	var read server.Options
	if err := read.ProcessConfigString(variables.String() + names.in(text)); err != nil {
		return fmt.Errorf("the embedded accounts: %w", err)
	}
	for _, user := range read.Users {
		// Not by the text, where it could mean something else.
		user.Password = passwords[user.Username]
		if user.Password == "" {
			return fmt.Errorf("the embedded accounts: user %s has no password", user.Username)
		}
	}
	o.Accounts, o.Users = read.Accounts, read.Users
	return nil
}

var quoted = regexp.MustCompile(`"[^"\n]+"`)

// in puts the names into the subjects, which are all that is quoted.
func (n Names) in(text string) string {
	parts := map[string]string{
		"VISITORS": n.EventStream, "VISITOR_DECISIONS": n.DecisionStream, "VISITOR_QUARANTINE": n.QuarantineStream,
		"visitors": n.SubjectPrefix, "_INBOX_SINE_RELAY": n.InboxPrefix,
		"VISITOR_ORDERS": n.OrderBucket, "KV_VISITOR_ORDERS": "",
	}
	if n.OrderBucket != "" {
		parts["KV_VISITOR_ORDERS"] = "KV_" + n.OrderBucket
	}
	return quoted.ReplaceAllStringFunc(text, func(subject string) string {
		tokens := strings.Split(strings.Trim(subject, `"`), ".")
		for i, token := range tokens {
			if name := parts[token]; name != "" {
				tokens[i] = name
			}
		}
		return `"` + strings.Join(tokens, ".") + `"`
	})
}

// relayAccount is the account of the relay and of deciders.
const relayAccount = "VISITORS"

// Answered lists the subjects, wildcards among them, of which clients answer the
// requests, but for the clients with the ids own: plain subscribers, too, whom NATS
// discovery does not show. Deciders may subscribe in a queue group only; what is in
// none is a stream.
func (s *Server) Answered(own ...uint64) ([]string, error) {
	running := s.current()
	if running == nil {
		return nil, errDown
	}
	found, err := running.nats.Subsz(&server.SubszOptions{Subscriptions: true, Account: relayAccount, Limit: 1 << 16})
	if err != nil {
		return nil, err
	}
	var subjects []string
	for _, sub := range found.Subs {
		if !slices.Contains(own, sub.Cid) && sub.Queue != "" {
			subjects = append(subjects, sub.Subject)
		}
	}
	slices.Sort(subjects)
	return slices.Compact(subjects), nil
}

// readPasswords reads the passwords of all users in dir, a file each. Those that are
// not there are written, as they are known or new.
func readPasswords(dir string, known map[string]string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("NATS passwords: %w", err)
	}
	if err := atomicfile.SyncDir(filepath.Dir(dir)); err != nil {
		return nil, fmt.Errorf("NATS passwords: %w", err)
	}
	all := map[string]string{}
	for _, user := range users {
		secret, err := password(filepath.Join(dir, user), known[user])
		if err != nil {
			return nil, err
		}
		all[user] = secret
	}
	return all, nil
}

// password reads the password in file. When there is no file it makes one. A known
// password, of a server that is started anew, is written again where its file says
// none any more.
func password(file, known string) (string, error) {
	secret, err := readPassword(file)
	if err != nil && (known != "" || errors.Is(err, fs.ErrNotExist)) {
		return newPassword(file, known)
	}
	return secret, err
}

func readPassword(file string) (string, error) {
	info, err := os.Stat(file)
	if err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	if !info.Mode().IsRegular() {
		return "", fmt.Errorf("NATS password: %s is not a regular file", file)
	}
	if shared(info) {
		return "", fmt.Errorf("NATS password: %s is readable or writable by others than its owner; run: chmod 600 %[1]s", file)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" {
		// An empty password would let everybody in.
		return "", fmt.Errorf("NATS password: %s is empty; remove it, and the next start creates a new password", file)
	}
	return secret, nil
}

func newPassword(file, known string) (string, error) {
	secret := cmp.Or(known, rand.Text()) // 130 bits, and no character that a URL would escape
	if err := atomicfile.Write(file, []byte(secret+"\n")); err != nil {
		return "", fmt.Errorf("NATS password: %w", err)
	}
	return secret, nil
}
