//go:build linux && faults

package faults

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// node is a NATS server, which keeps its ports and its store over its deaths.
type node struct {
	program string
	name    string
	dir     string
	port    int
	routes  []int // of the cluster, its own included; none for a node alone
	route   int
	synced  bool // each message is
	out     *output

	// mu is held by whatever fault has the process in its hands.
	mu      sync.Mutex
	auth    string // the part of the configuration that says who may do what
	process *process
}

// newNodes prepares servers; more than one of them are a cluster.
func newNodes(t testing.TB, count int, auth string) []*node {
	t.Helper()
	var nodes []*node
	var routes []int
	for i := range count {
		nodes = append(nodes, &node{
			program: programs(t).nats, name: fmt.Sprintf("n%d", i), dir: t.TempDir(),
			port: reserve(t), route: reserve(t), auth: auth, out: newOutput(t, fmt.Sprintf("nats-%d", i)),
		})
		routes = append(routes, nodes[i].route)
	}
	for _, n := range nodes {
		if count > 1 {
			n.routes = routes
		}
		t.Cleanup(func() { n.process.kill() })
	}
	return nodes
}

// reserve returns a port that is ours until the test ends: a socket that is
// bound and does not listen keeps others off it, and lets a server listen that
// sets SO_REUSEADDR, as Go's do.
func reserve(t testing.TB) int {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err == nil {
		t.Cleanup(func() { syscall.Close(socket) })
		err = syscall.SetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	}
	if err == nil {
		err = syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err != nil {
		t.Fatal("reserve a port:", err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal("reserve a port:", err)
	}
	return name.(*syscall.SockaddrInet4).Port
}

func (n *node) address() string { return fmt.Sprintf("127.0.0.1:%d", n.port) }

func (n *node) configuration() string {
	var b strings.Builder
	fmt.Fprintf(&b, "server_name: %s\nlisten: %q\n", n.name, n.address())
	interval := "2m" // the default
	if n.synced {
		interval = "always"
	}
	fmt.Fprintf(&b, "jetstream { store_dir: %q, max_file_store: 8GB, max_memory_store: 64MB, sync_interval: %s }\n", n.dir, interval)
	if n.routes != nil {
		var routes []string
		for _, port := range n.routes {
			routes = append(routes, fmt.Sprintf(`"nats://127.0.0.1:%d"`, port))
		}
		// Were the nodes' own addresses given to clients, they would go round
		// the proxy.
		fmt.Fprintf(&b, "cluster { name: faults, listen: \"127.0.0.1:%d\", no_advertise: true, routes: [%s] }\n", n.route, strings.Join(routes, ", "))
	}
	// The shortest that a server takes; it ends earlier once nobody is connected.
	b.WriteString("lame_duck_duration: 30s, lame_duck_grace_period: 1s\n")
	return b.String() + n.auth
}

func (n *node) file() string { return filepath.Join(n.dir, "nats.conf") }

func (n *node) configure() error {
	return os.WriteFile(n.file(), []byte(n.configuration()), 0o600)
}

// start returns once the node accepts connections.
func (n *node) start() error {
	if n.process.running() {
		return nil
	}
	if err := n.configure(); err != nil {
		return err
	}
	p, err := launch(exec.Command(n.program, "-c", n.file()), n.out)
	if err != nil {
		return err
	}
	n.process = p
	err = await(n.name+" accepts connections", func() bool { return n.accepts() || !p.running() })
	if err == nil && !p.running() {
		err = fmt.Errorf("%s ended at its start:\n%s", n.name, n.out.tail(10))
	}
	return err
}

func (n *node) accepts() bool {
	conn, err := net.Dial("tcp", n.address())
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// admit changes who may do what, of a running server too.
func (n *node) admit(auth string) error {
	n.auth = auth
	if !n.process.running() {
		return nil
	}
	if err := n.configure(); err != nil {
		return err
	}
	from := n.out.length()
	n.process.signal(syscall.SIGHUP)
	return await(n.name+" has read its configuration", func() bool {
		return !n.process.running() || strings.Contains(n.out.since(from), "Reloaded server configuration")
	})
}
