package natstest

import (
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/sine-relay/sine-relay/internal/wait"
)

// Cluster runs n servers as one cluster, which has a leader when it returns. The
// ports between them are chosen beforehand: JetStream wants every server to know
// its routes. Each change may adjust the options of every server.
func Cluster(t testing.TB, n int, change ...func(*server.Options)) []*Server {
	t.Helper()
	ports := FreePorts(t, n)
	var routes []string
	for _, port := range ports {
		routes = append(routes, fmt.Sprintf("nats://127.0.0.1:%d", port))
	}
	var servers []*Server
	for i, port := range ports {
		servers = append(servers, Start(t, func(o *server.Options) {
			o.ServerName = fmt.Sprintf("n%d", i)
			o.Cluster = server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: port}
			o.Routes = server.RoutesFromStr(strings.Join(routes, ","))
			for _, c := range change {
				c(o)
			}
		}))
	}
	wait.Until(t, "the cluster has a leader of its JetStream", func() bool {
		for _, s := range servers {
			if s.running.JetStreamIsLeader() {
				return len(s.running.JetStreamClusterPeers()) == n
			}
		}
		return false
	})
	return servers
}

// FreePorts returns ports that nobody listened on a moment ago.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		socket, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		ports = append(ports, socket.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
