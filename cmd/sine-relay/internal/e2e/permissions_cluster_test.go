package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
)

func TestTheClusterRunsFromOneFile(t *testing.T) {
	t.Parallel()
	nodes := startCluster(t, 3)
	s := &theatre{Server: nodes[0], refused: &refusals{}}
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
func TestTheClusterTakesNoStrangers(t *testing.T) {
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
	if n := stranger.Server().NumRoutes(); n != 0 {
		t.Errorf("it has %d routes", n)
	}
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
