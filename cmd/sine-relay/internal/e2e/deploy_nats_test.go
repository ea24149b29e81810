package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/conn/dial"
	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestPermissions_DocumentedTableMatchesTheConfiguration(t *testing.T) {
	t.Parallel()
	checkTable(t, "deploy/nats/README.md", "permissions", permissionsTable(t))
}

func permissionsTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| User | May | Subject | Why |\n|---|---|---|---|\n")
	for _, p := range permissions(t) {
		subject := "`" + p.subject + "`"
		if p.verb == "reply" {
			subject = ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", p.user, p.verb, subject, p.why)
	}
	return b.String()
}

// Lines that the tests cannot read would not be tested either.
func TestPermissions_EachIsALineOfItsOwn(t *testing.T) {
	t.Parallel()
	all := permissions(t)
	perUser := map[string]int{}
	for _, p := range all {
		perUser[p.user]++
	}
	loaded := 0
	for _, u := range loadedUsers(t) {
		p := u.Permissions
		if p == nil || p.Publish == nil || p.Subscribe == nil {
			t.Fatalf("%s is not confined", u.Username)
		}
		n := len(p.Publish.Allow) + len(p.Subscribe.Allow)
		if p.Response != nil {
			n++
		}
		if n != perUser[u.Username] {
			t.Errorf("%s has %d permissions, %d of them on lines of their own", u.Username, n, perUser[u.Username])
		}
		loaded++
	}
	if loaded != len(roles) || len(perUser) != len(roles) {
		t.Errorf("%d users are configured, %d listed, and %d have roles", loaded, len(perUser), len(roles))
	}
}

// What an account may reach at most is what its users may: each import is exported
// to it, and each of a user's subjects is imported.
func TestPermissions_AccountsImportOnlyWhatTheirUsersNeed(t *testing.T) {
	t.Parallel()
	reached := map[string]bool{}
	for _, u := range loadedUsers(t) {
		if u.Account.Name == "VISITORS" {
			continue // where the exports come from
		}
		block := regexp.MustCompile(`(?ms)^  ` + u.Account.Name + ` \{.*?^  \}`).FindString(accounts(t))
		for _, m := range imported.FindAllStringSubmatch(block, -1) {
			if !strings.Contains(accounts(t), fmt.Sprintf("{service: %q, accounts: [", m[1])) {
				t.Errorf("%s imports %s, which is not exported", u.Account.Name, m[1])
			}
			needed := slices.ContainsFunc(u.Permissions.Publish.Allow, func(subject string) bool { return within(m[1], subject) })
			reached[u.Account.Name+" "+m[1]] = reached[u.Account.Name+" "+m[1]] || needed
		}
		for _, subject := range u.Permissions.Publish.Allow {
			ours := slices.ContainsFunc(imported.FindAllStringSubmatch(block, -1), func(m []string) bool { return within(m[1], subject) })
			if !ours && !strings.HasPrefix(subject, "$SYS.REQ.USER.INFO") { // which NATS has in every account
				t.Errorf("%s may publish %s, which leads nowhere", u.Username, subject)
			}
		}
	}
	for what, needed := range reached {
		if !needed {
			t.Errorf("%s is imported, and no user may use it", what)
		}
	}
	if len(reached) == 0 {
		t.Error("nothing was compared")
	}
}

var imported = regexp.MustCompile(`\{service: \{account: VISITORS, subject: "([^"]+)"\}\}`)

// within reports whether a subject, perhaps with wildcards, lies within another.
func within(outer, inner string) bool {
	return server.SubjectsCollide(outer, inner) && len(strings.Split(inner, ".")) >= strings.Count(outer, ".")
}

// Relay and desk find nothing to complain about in what they would have made themselves.
func TestDeploy_StreamFilesMatchTheStreamsThatAreMade(t *testing.T) {
	t.Parallel()
	own, ours := natstest.Start(t), natstest.Start(t)
	runServe(t, "NATS_URL="+own.URL()).ready()
	if err := openDesk(t, own, dial.Auth{}, &logtest.Buffer{}).Audit(t.Context(), auditEntry("hq")); err != nil {
		t.Fatal(err)
	}
	makeStreams(t, ours.JetStream(), 1)
	made := streamFiles(t)
	eventually(t, "relay and desk have made as many", func() bool { return len(streamsOf(t, own.JetStream())) == len(made) })
	relays, files := streamsOf(t, own.JetStream()), streamsOf(t, ours.JetStream())
	for _, name := range slices.Sorted(maps.Keys(relays)) {
		if relays[name] != files[name] {
			t.Errorf("%s\nas it is made %s\nof the file  %s", name, relays[name], files[name])
		}
		if made[name].Name != name || made[name].Replicas != 3 {
			t.Errorf("%s.json makes %s with %d replicas", name, made[name].Name, made[name].Replicas)
		}
	}
}

// streamsOf are the configurations of all streams as JSON.
func streamsOf(t *testing.T, js jetstream.JetStream) map[string]string {
	t.Helper()
	all := map[string]string{}
	list := js.ListStreams(t.Context())
	for info := range list.Info() {
		text, err := json.Marshal(info.Config)
		if err != nil {
			t.Fatal(err)
		}
		all[info.Config.Name] = string(text)
	}
	if err := list.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// The image is the version that the tests run.
func TestDeploy_ComposeFilesRunTheTestedNATSVersion(t *testing.T) {
	t.Parallel()
	for _, file := range []string{natsDir + "../compose.yaml", natsDir + "compose.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		images := regexp.MustCompile(`image: nats:(\S+)`).FindAllStringSubmatch(string(text), -1)
		if len(images) == 0 {
			t.Errorf("%s runs no NATS", file)
		}
		for _, image := range images {
			if image[1] != server.VERSION {
				t.Errorf("%s runs NATS %s, want %s", file, image[1], server.VERSION)
			}
		}
	}
}

func TestCluster_RunsFromOneConfigurationFile(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 3)
	s := &deployment{Server: nodes[0], refused: &refusals{}}
	for _, node := range nodes {
		node.Server().SetLoggerV2(s.refused, false, false, false)
	}
	makeStreams(t, s.JetStream(asUser("admin")), 3)
	var urls []string
	for _, node := range nodes {
		urls = append(urls, node.URL())
	}
	p := runServe(t, append(s.settings("relay"), "NATS_REPLICAS=3", "NATS_URL="+strings.Join(urls, ","))...).ready()
	p.must(200, "eventId", webhook("signin_after", noon, "Ada"))
	must(t, environment(append(s.settings("operator"), "KEYS="+testKey)...), "in force", "lockdown", "--site", "hq", "--message", "Fire")
	eventually(t, "the lockdown is obeyed", func() bool {
		_, text, err := p.post(webhook("signin_before", noon, "Ada"))
		return err == nil && strings.Contains(text, "Fire")
	})
	if _, body := p.get("/readyz?verbose"); !strings.Contains(body, "stream VISITORS: verified") || strings.Contains(body, "wanted") {
		t.Errorf("readiness: %s", body)
	}
	stream, err := s.JetStream(asUser("admin")).Stream(t.Context(), visit.DefaultEventStream)
	if err != nil {
		t.Fatal(err)
	}
	if info := stream.CachedInfo(); len(info.Cluster.Replicas) != 2 || info.State.Msgs != 1 {
		t.Errorf("%d messages on 1 + %d servers", info.State.Msgs, len(info.Cluster.Replicas))
	}
	for _, line := range s.refused.lines() {
		t.Error(line)
	}
}

// A server that does not know the routes' password stays outside.
func TestCluster_ServerWithAWrongRoutePasswordIsRefused(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 3)
	refused := &refusals{}
	nodes[0].Server().SetLoggerV2(refused, false, false, false)
	stranger := natstest.Start(t, configured(t, natsDir+"nats.conf", map[string]string{
		"ROUTE_PASSWORD": "Zother", "SERVER_NAME": "stranger", "NATS_ROUTES": routesTo("Zother", clusterPort(nodes[0])),
	}), onPort(0))
	eventually(t, "it is refused", func() bool {
		return strings.Contains(strings.Join(refused.lines(), "\n"), server.ErrAuthentication.Error())
	})
	// It counts a route until it hears that it is refused, and goes on trying.
	eventually(t, "it has no route", func() bool { return stranger.Server().NumRoutes() == 0 })
}

// startCluster runs servers that differ by their environment alone.
func startCluster(t *testing.T, n int) []*natstest.Server {
	t.Helper()
	ports := natstest.FreePorts(t, n)
	var nodes []*natstest.Server
	for i, port := range ports {
		nodes = append(nodes, natstest.Start(t, configured(t, natsDir+"nats.conf", map[string]string{
			"SERVER_NAME": fmt.Sprintf("nats-%d", i+1), "NATS_ROUTES": routesTo("Zsecret", ports...),
		}), onPort(port)))
	}
	eventually(t, "there is a leader", func() bool {
		for _, node := range nodes {
			if node.Server().JetStreamIsLeader() {
				return len(node.Server().JetStreamClusterPeers()) == n
			}
		}
		return false
	})
	return nodes
}

func routesTo(password string, ports ...int) string {
	var routes []string
	for _, port := range ports {
		routes = append(routes, fmt.Sprintf("%q", fmt.Sprintf("nats://route:%s@127.0.0.1:%d", password, port)))
	}
	return "[" + strings.Join(routes, ", ") + "]"
}

// onPort has a server's routes come in on loopback; the kernel chooses for 0.
func onPort(port int) func(*server.Options) {
	if port == 0 {
		port = server.RANDOM_PORT
	}
	return func(o *server.Options) { o.Cluster.Host, o.Cluster.Port = "127.0.0.1", port }
}

func clusterPort(node *natstest.Server) int { return node.Server().ClusterAddr().Port }

// A client that reads nothing any more keeps its connection, and as a member of the
// decider's group its share of the requests. The shipped configurations drop it while
// somebody still looks; by default that takes six minutes.
func TestDeploy_HangingDeciderIsDisconnected(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"nats.conf", "single.conf"} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t, configured(t, natsDir+file, nil), func(o *server.Options) {
				o.Cluster, o.Routes = server.ClusterOpts{}, nil
			})
			conn, err := net.Dial("tcp", s.Server().Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprint(conn, "CONNECT {\"user\":\"decider\",\"pass\":\"Zsecret\",\"verbose\":false}\r\nSUB visitors.v1.ask.hq.default q 1\r\n")
			tooLong := time.After(time.Minute)
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				closed, err := s.Server().Connz(&server.ConnzOptions{State: server.ConnClosed})
				if err != nil {
					t.Fatal(err)
				}
				if len(closed.Conns) > 0 {
					if reason := closed.Conns[0].Reason; reason != server.StaleConnection.String() {
						t.Errorf("closed because: %s", reason)
					}
					return
				}
				select {
				case <-tick.C:
				case <-tooLong:
					t.Fatal("it is still asked")
				}
			}
		})
	}
}
