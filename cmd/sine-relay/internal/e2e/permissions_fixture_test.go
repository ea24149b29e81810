package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

// deployment is a NATS with the configuration of deploy/nats, and its streams.
type deployment struct {
	*natstest.Server
	refused *refusals
}

// variables are what the configuration reads from the environment.
func variables() map[string]string {
	all := map[string]string{"SERVER_NAME": "nats-1", "NATS_ROUTES": `["nats://route:Zsecret@127.0.0.1:1"]`}
	for _, who := range []string{"RELAY", "DECIDER", "OPERATOR", "ADMIN", "CONSUMER", "DESK", "ROUTE"} {
		all[who+"_PASSWORD"] = "Zsecret"
	}
	return all
}

// The whole process has one environment, and the tests run at once.
var oneEnvironment sync.Mutex

// readConfiguration reads a file as the server does, with changes to the variables.
func readConfiguration(t *testing.T, file string, changes map[string]string) *server.Options {
	t.Helper()
	oneEnvironment.Lock()
	defer oneEnvironment.Unlock()
	all := variables()
	maps.Copy(all, changes)
	for name, value := range all {
		os.Setenv(name, value)
		defer os.Unsetenv(name)
	}
	read, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// startDeployment runs one server with a configuration file, without its cluster.
func startDeployment(t *testing.T, file string) *deployment {
	t.Helper()
	s := &deployment{refused: &refusals{}}
	s.Server = natstest.Start(t, configured(t, file, nil), func(o *server.Options) {
		o.Cluster, o.Routes = server.ClusterOpts{}, nil
	})
	s.Server.Server().SetLoggerV2(s.refused, false, false, false)
	makeStreams(t, s.JetStream(asUser("admin")), 1)
	return s
}

// configured takes the options from a file, all but ports and directories.
func configured(t *testing.T, file string, changes map[string]string) func(*server.Options) {
	t.Helper()
	read := readConfiguration(t, file, changes)
	return func(o *server.Options) {
		read.Host, read.Port, read.StoreDir = o.Host, o.Port, o.StoreDir
		read.HTTPHost, read.HTTPPort = "", 0
		read.NoLog, read.NoSigs = o.NoLog, o.NoSigs
		*o = *read
	}
}

func asUser(name string) nats.Option { return nats.UserInfo(name, "Zsecret") }

// settings for the program as a user.
func (s *deployment) settings(user string) []string {
	return []string{"NATS_URL=" + s.URL(), "NATS_USER=" + user, "NATS_PASSWORD=Zsecret", "SITE=hq"}
}

// streamFiles are the streams' configurations by name.
func streamFiles(t *testing.T) map[string]jetstream.StreamConfig {
	t.Helper()
	files, err := filepath.Glob(natsDir + "streams/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no streams: %v", err)
	}
	all := map[string]jetstream.StreamConfig{}
	for _, file := range files {
		content, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer content.Close()
		var cfg jetstream.StreamConfig
		decoder := json.NewDecoder(content)
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&cfg); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".json")] = cfg
	}
	return all
}

// makeStreams does what `nats stream add --config` does with each file.
func makeStreams(t *testing.T, js jetstream.JetStream, replicas int) {
	t.Helper()
	for name, cfg := range streamFiles(t) {
		cfg.Replicas = replicas
		if _, err := js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatalf("make stream %s: %v", name, err)
		}
	}
	text, err := os.ReadFile(natsDir + "consumers/badges.json")
	if err != nil {
		t.Fatal(err)
	}
	var badges jetstream.ConsumerConfig
	if err := json.Unmarshal(text, &badges); err != nil {
		t.Fatal(err)
	}
	if badges.MaxAckPending != -1 {
		t.Errorf("max_ack_pending of the durable badges is %d: as many events that fail keep everything newer away", badges.MaxAckPending)
	}
	if _, err := js.CreateConsumer(t.Context(), visit.DefaultEventStream, badges); err != nil {
		t.Fatalf("make the durable badges: %v", err)
	}
}

// refusals are a server's log, of which it keeps who was not let in and what was
// not permitted.
type refusals struct {
	mu  sync.Mutex
	all []string
}

func (r *refusals) Errorf(format string, v ...any) {
	line := fmt.Sprintf(format, v...)
	if strings.Contains(line, "Violation") || strings.Contains(line, server.ErrAuthentication.Error()) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.all = append(r.all, line)
	}
}

func (r *refusals) Noticef(string, ...any) {}
func (r *refusals) Warnf(string, ...any)   {}
func (r *refusals) Fatalf(string, ...any)  {}
func (r *refusals) Debugf(string, ...any)  {}
func (r *refusals) Tracef(string, ...any)  {}

func (r *refusals) lines() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all
}

// loadedUsers are those of the configuration as the server reads it.
func loadedUsers(t *testing.T) []*server.User {
	t.Helper()
	return readConfiguration(t, natsDir+"nats.conf", nil).Users
}

const natsDir = "../../../../deploy/nats/"

// permission is a line of deploy/nats/accounts.conf.
type permission struct {
	user, verb, subject, why string
}

func (p permission) String() string { return fmt.Sprintf("%s, %s %s", p.user, p.verb, p.subject) }

var (
	userBlock  = regexp.MustCompile(`(?ms)^      \{\n        user: (\w+)\n.*?^      \}\n`)
	listBegin  = regexp.MustCompile(`^ +(publish|subscribe): \[$`)
	listed     = regexp.MustCompile(`^ +"([^"]+)" +# (.+)$`)
	repliesSet = regexp.MustCompile(`(?m)^ +(allow_responses): (?:true|\{[^}]*\}) +# (.+)$`)
)

// accounts is the text of the configuration.
func accounts(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(natsDir + "accounts.conf")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// permissions are all lines that allow something, in their order.
func permissions(t *testing.T) []permission {
	t.Helper()
	var all []permission
	for _, block := range userBlock.FindAllStringSubmatch(accounts(t), -1) {
		verb := ""
		for line := range strings.Lines(block[0]) {
			line = strings.TrimSuffix(line, "\n")
			if begin := listBegin.FindStringSubmatch(line); begin != nil {
				verb = begin[1]
			}
			if p := listed.FindStringSubmatch(line); p != nil {
				all = append(all, permission{block[1], verb, p[1], p[2]})
			}
			if p := repliesSet.FindStringSubmatch(line); p != nil {
				all = append(all, permission{block[1], "reply", p[1], p[2]})
			}
		}
	}
	return all
}

// without is the name of a user who has all that another has but one permission.
func without(user string, i int) string { return fmt.Sprintf("%s_without_%d", user, i) }

// withLesserUsers adds, for each permission, a user who lacks that one.
func withLesserUsers(t *testing.T, text string, all []permission) string {
	t.Helper()
	return userBlock.ReplaceAllStringFunc(text, func(block string) string {
		user := userBlock.FindStringSubmatch(block)[1]
		lesser := block
		for i, p := range all {
			if p.user == user {
				lesser += deprived(t, block, p, without(user, i))
			}
		}
		return lesser
	})
}

// deprived is a user's block under another name, without one permission. An
// empty list would allow everything.
func deprived(t *testing.T, block string, p permission, name string) string {
	t.Helper()
	less := strings.Replace(block, fmt.Sprintf("%q", p.subject), `"nothing"`, 1)
	if p.verb == "reply" {
		may := `publish: ["nothing"]`
		if strings.Contains(block, "publish: [\n") {
			may = "" // what it may publish besides follows
		}
		less = repliesSet.ReplaceAllLiteralString(block, may)
	}
	if less == block {
		t.Fatalf("%s is not in its block", p)
	}
	return strings.Replace(less, "user: "+p.user+"\n", "user: "+name+"\n", 1)
}

// names reports whether a text names a subject that the permission allows, or the
// permission itself.
func (p permission) names(text string) bool {
	subject, _, _ := strings.Cut(p.subject, " ") // the rest is a queue group
	pattern := regexp.QuoteMeta(subject)
	pattern = strings.ReplaceAll(pattern, `\*`, `[^."\s]+`)
	pattern = strings.ReplaceAll(pattern, `>`, `\S+`)
	return regexp.MustCompile(`(^|[\s"\\])` + pattern + `($|[\s",;:)\\])`).MatchString(text)
}

// writeConf writes the configuration with another text of accounts.conf.
func writeConf(t *testing.T, accounts string) string {
	t.Helper()
	dir := t.TempDir()
	main, err := os.ReadFile(natsDir + "nats.conf")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"nats.conf": string(main), "accounts.conf": accounts} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "nats.conf")
}
