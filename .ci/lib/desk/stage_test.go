// Package desk tries the desk in a browser: the built programs, a NATS with the accounts
// of deploy/nats, two relays, and a provider of OpenID Connect in the test's process.
package desk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/oauth2-proxy/mockoidc"
)

const (
	password = "password-of-the-test"
	apiKey   = "key-of-the-test-0123456789"
	// patience is how long anything may take. Nothing takes nearly as long.
	patience = 15 * time.Second
)

// root is the repository, and programs where the built programs are.
var (
	root     = "../../.."
	programs = os.Getenv("SINE_DESK_PROGRAMS")
)

// stage is all that the browser's pages talk to.
type stage struct {
	t        *testing.T
	dir      string
	natsAddr string
	nats     *process
	provider *mockoidc.MockOIDC
	relays   []*relay
	url      string // of the desk
	decider  *nats.Conn
	deciding micro.Service
}

type relay struct {
	*process
	webhook, admin string
}

// process is a program that prints into a file of its own.
type process struct {
	cmd *exec.Cmd
	log string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir()}
	s.files()
	s.natsAddr = freeAddress(t)
	s.startNATS()
	s.makeStreams()
	for n := range 2 {
		s.relays = append(s.relays, s.startRelay(n))
	}
	s.decide()
	s.startProvider()
	s.url = s.startDesk("desk.log", "http")
	return s
}

func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

func (s *stage) write(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// integrations are of two sites: somebody may have a role at one alone.
const integrations = `defaults: {timeZone: Australia/Adelaide, decisionBudget: 700ms}
integrations:
- {name: hq-lobby, site: hq, displayName: "Headquarters, main lobby", test: true}
- {name: hq-dock, site: hq, displayName: "Headquarters, loading dock"}
- {name: hq-gate, site: hq, displayName: "Headquarters, gate"}
- {name: hq-garage, site: hq, displayName: "Headquarters, garage"}
- {name: hq-annex, site: hq, displayName: "Headquarters, annex"}
- {name: mill, site: mill, displayName: "The mill", timeZone: Europe/Zurich}
`

// files are those of relays and desk.
func (s *stage) files() {
	s.write("integrations.yaml", integrations)
	for _, name := range []string{"hq-lobby", "hq-dock", "hq-gate", "hq-garage", "hq-annex", "mill"} {
		s.write("keys/"+name, apiKey+"\n")
	}
	s.write("try/hq-lobby", apiKey+"\n")
	s.write("roles.yaml", `roles:
- {group: guards, role: viewer, sites: ["*"]}
- {group: front-desk, role: reception, sites: [hq]}
- {group: duty, role: operator, sites: ["*"]}
`)
	s.write("session-keys", strings.Repeat("0123456789abcdef", 3))
}

func freeAddress(t *testing.T) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	return socket.Addr().String()
}

// launch starts a program, which ends with the test.
func (s *stage) launch(log string, env []string, program string, words ...string) *process {
	s.t.Helper()
	out, err := os.OpenFile(s.path(log), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(programs, program), words...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = s.dir, out, out
	cmd.Env = append(env, "PATH="+os.Getenv("PATH"), "HOME="+s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	p := &process{cmd, s.path(log)}
	s.t.Cleanup(p.kill)
	return p
}

// kill ends a process as a crash does.
func (p *process) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// logged waits until a program's log matches a pattern, and returns what it found.
func (s *stage) logged(p *process, pattern string) []string {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	var found []string
	eventually(s.t, "the log has "+pattern, func() error {
		text, err := os.ReadFile(p.log)
		if found = re.FindStringSubmatch(string(text)); found == nil && err == nil {
			err = fmt.Errorf("it is:\n%s", text)
		}
		return err
	})
	return found
}

// eventually waits until a condition holds.
func eventually(t *testing.T, what string, condition func() error) {
	t.Helper()
	eventuallyWithin(t, patience, what, condition)
}

func eventuallyWithin(t *testing.T, most time.Duration, what string, condition func() error) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for giveUp := time.Now().Add(most); ; <-tick.C {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(giveUp) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

// startNATS runs a server with the accounts of deploy/nats, at the same address each time.
func (s *stage) startNATS() {
	accounts, err := os.ReadFile(filepath.Join(root, "deploy/nats/accounts.conf"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.write("accounts.conf", string(accounts))
	s.write("nats.conf", fmt.Sprintf("listen: %q\njetstream {store_dir: %q, sync_interval: always}\nping_interval: \"5s\"\nping_max: 2\ninclude ./accounts.conf\n", s.natsAddr, s.path("nats")))
	var env []string
	for _, who := range []string{"RELAY", "DECIDER", "OPERATOR", "ADMIN", "CONSUMER", "DESK", "ROUTE"} {
		env = append(env, who+"_PASSWORD="+password)
	}
	s.nats = s.launch("nats.log", env, "nats-server", "-c", s.path("nats.conf"))
	s.logged(s.nats, `Server is ready`)
}

// connect is as one of the accounts' users.
func (s *stage) connect(user string) *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect("nats://"+s.natsAddr, nats.UserInfo(user, password), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	return nc
}

func (s *stage) settings(user string, more ...string) (env []string) {
	for _, one := range append([]string{"NATS_URL=nats://" + s.natsAddr, "NATS_USER=" + user, "NATS_PASSWORD=" + password, "LOG_FORMAT=json"}, more...) {
		env = append(env, "SINE_RELAY_"+one)
	}
	return env
}

func (s *stage) startRelay(n int) *relay {
	s.t.Helper()
	p := s.launch(fmt.Sprintf("relay-%d.log", n), s.settings("relay", "LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "DRAIN_DELAY=0s",
		"INTEGRATIONS_FILE="+s.path("integrations.yaml"), "KEYS_DIR="+s.path("keys"), fmt.Sprintf("SPOOL_DIR=%s", s.path(fmt.Sprintf("spool-%d", n)))), "sine-relay", "serve")
	m := s.logged(p, `"msg":"sine-relay".*"listen":"([^"]+)".*"admin":"([^"]+)"`)
	r := &relay{p, "http://" + m[1], "http://" + m[2]}
	s.ready(r.admin)
	return r
}

// ready waits until an admin listener says so.
func (s *stage) ready(admin string) {
	s.t.Helper()
	eventually(s.t, "ready", func() error {
		response, err := http.Get(admin + "/readyz?verbose")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusOK {
			return errors.New(string(text))
		}
		return nil
	})
}

// decide lets everybody in but a company that is called Denied; Slow gets no decision, and
// Liar something that is none.
func (s *stage) decide() {
	s.t.Helper()
	if s.decider == nil {
		s.decider = s.connect("decider")
	}
	service, err := micro.AddService(s.decider, micro.Config{
		Name: "sine-relay-decider", Version: "1.4.0", Description: "The decider of the test", QueueGroup: "q",
		Endpoint: &micro.EndpointConfig{Subject: "visitors.v1.ask.hq.default", Handler: micro.HandlerFunc(func(r micro.Request) {
			switch {
			case bytes.Contains(r.Data(), []byte(`"Slow"`)):
			case bytes.Contains(r.Data(), []byte(`"Liar"`)):
				r.Respond([]byte(`{"allowed":"yes"}`))
			case bytes.Contains(r.Data(), []byte(`"Denied"`)):
				r.Respond([]byte(`{"decision":"reject","visitorText":"Your company is not expected today.","decider":"badges","version":"1.4.0"}`))
			default:
				r.Respond([]byte(`{"decision":"accept","visitorText":"Welcome.","decider":"badges","version":"1.4.0"}`))
			}
		})},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.deciding = service
	if err := s.decider.Flush(); err != nil {
		s.t.Fatal(err)
	}
}

// deskClient is what the provider knows the desk as.
const deskClient, deskSecret = "sine-relay-desk", "secret-of-the-desk"

func (s *stage) startProvider() {
	provider, err := mockoidc.NewServer(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	provider.ClientID, provider.ClientSecret = deskClient, deskSecret
	err = provider.AddMiddleware(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if id, secret, ok := r.BasicAuth(); ok { // which mockoidc claims to understand
				r.ParseForm()
				r.Form.Set("client_id", id)
				r.Form.Set("client_secret", secret)
			}
			next.ServeHTTP(w, r)
		})
	})
	var socket net.Listener
	if err == nil {
		socket, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err == nil {
		err = provider.Start(socket, nil)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.provider = provider
	s.t.Cleanup(func() { provider.Shutdown() })
}

// startDesk returns the address of a desk.
func (s *stage) startDesk(log, scheme string, more ...string) (url string) {
	s.t.Helper()
	address := freeAddress(s.t)
	url = scheme + "://" + address
	settings := append(more, "DESK_LISTEN="+address, "DESK_ADMIN_LISTEN=127.0.0.1:0", "DESK_URL="+url,
		"DESK_OIDC_ISSUER="+s.provider.Issuer(), "DESK_OIDC_CLIENT_ID="+deskClient, "DESK_OIDC_CLIENT_SECRET="+deskSecret,
		"DESK_OIDC_SCOPES=profile groups", "DESK_OIDC_NAME_CLAIM=preferred_username",
		"DESK_ROLES_FILE="+s.path("roles.yaml"), "DESK_SESSION_KEYS_FILE="+s.path("session-keys"),
		"DESK_TRY_URL="+s.relays[0].webhook, "DESK_TRY_KEYS_DIR="+s.path("try"))
	p := s.launch(log, s.settings("desk", settings...), "sine-relay", "desk")
	m := s.logged(p, `"msg":"sine-relay desk".*"admin":"([^"]+)"`)
	s.ready("http://" + m[1])
	return url
}

// visitor is a made-up one whose names are marked, so that they are found where they must
// not be.
type visitor struct{ id, first, last, company string }

var visitors = []visitor{
	{"V-1", "Zorbina", "Quillfeather", "Bexley Rigging"}, {"V-2", "Ottoline", "Marchbanks", "Fernhill Catering"},
	{"V-3", "Xanthe", "Quillfeather", "Denied"}, {"V-4", "Bartholomew", "Wigglesworth", "Northway Lifts"},
}

// call sends one of Sine's calls to a relay, and returns the response's body.
func (s *stage) call(integration, event string, v visitor) string {
	s.t.Helper()
	body := fmt.Sprintf(`{"event":%q,"date":%q,"data":{"visitId":%q,"firstName":%q,"lastName":%q,"company":%q,"passType":"Contractor","host":{"firstName":"Idris","lastName":"Fennimore"}}}`,
		event, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), v.id, v.first, v.last, v.company)
	return s.post(integration, body)
}

func (s *stage) post(integration, body string) string {
	s.t.Helper()
	req, err := http.NewRequest(http.MethodPost, s.relays[0].webhook+"/sine/"+integration, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("x-sine-auth", apiKey)
	req.Header.Set("content-type", "application/json")
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// day is something to look at: visitors come and go, one is turned away, one cannot be
// read, and nobody decides at the mill.
func (s *stage) day() {
	s.t.Helper()
	for _, v := range visitors {
		s.call("hq-lobby", "signin_before", v)
		if v.company != "Denied" {
			s.call("hq-lobby", "signin_after", v)
		}
	}
	s.call("hq-lobby", "signout_after", visitors[0])
	s.call("mill", "signin_before", visitors[1])
	s.post("hq-dock", `{"event":"visitor_arrived","data":{"firstName":"Zorbina"}}`)
}
