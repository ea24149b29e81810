package natstest

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Cluster runs n servers as one cluster, which has a leader when it returns. The
// ports between them are chosen beforehand: JetStream wants every server to know
// its routes. Each change may adjust the options of every server.
func Cluster(t testing.TB, n int, change ...func(*server.Options)) []*Server {
	t.Helper()
	ports := freePorts(t, n)
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
	wait(t, "the cluster has a leader of its JetStream", func() bool {
		for _, s := range servers {
			if s.running.JetStreamIsLeader() {
				return len(s.running.JetStreamClusterPeers()) == n
			}
		}
		return false
	})
	return servers
}

// freePorts returns ports that nobody listened on a moment ago.
func freePorts(t testing.TB, n int) []int {
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

// wait polls until the condition holds.
func wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("not in %s: %s", patience, what)
		case <-tick.C:
		}
	}
}
