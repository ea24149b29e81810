package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
)

// kind is a proxy program: how its snippet is completed, and how it is run.
type kind struct {
	language string // of the block in the page
	complete func(snippet string, p ports, dir string) (string, error)
	command  func(file, dir string) *exec.Cmd
}

var (
	nginx   = kind{"nginx", completeNginx, nginxCommand}
	haproxy = kind{"haproxy", completeHAProxy, haproxyCommand}
	caddy   = kind{"caddyfile", completeCaddy, caddyCommand}
)

// The page's block goes between the braces of http in nginx.conf; what is around
// it keeps the process away from the system's folders.
func completeNginx(snippet string, p ports, dir string) (string, error) {
	snippet, err := fill(snippet, p, "listen 443 ssl", fmt.Sprintf("listen %s:%d ssl", proxyHost, p.proxy))
	var temp strings.Builder
	for _, what := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		fmt.Fprintf(&temp, "%s_temp_path %s/%s;\n", what, dir, what)
	}
	return fmt.Sprintf("user root;\ndaemon off;\nworker_processes 2;\npid %s/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n%s%s}\n",
		dir, &temp, snippet), err
}

func nginxCommand(file, dir string) *exec.Cmd {
	return exec.Command("/usr/sbin/nginx", "-e", "stderr", "-p", dir, "-c", file)
}

func completeHAProxy(snippet string, p ports, _ string) (string, error) {
	return fill(snippet, p, "bind :443", fmt.Sprintf("bind %s:%d", proxyHost, p.proxy), "port "+pageAdmin, "port "+strconv.Itoa(p.admin))
}

func haproxyCommand(file, _ string) *exec.Cmd {
	return exec.Command("/usr/sbin/haproxy", "-db", "-f", file)
}

func completeCaddy(snippet string, p ports, dir string) (string, error) {
	return fill(snippet, p, pageHost+" {", fmt.Sprintf("%s:%d {\n\tbind %s", pageHost, p.proxy, proxyHost),
		pageAdmin, strconv.Itoa(p.admin),
		"auto_https disable_redirects", "auto_https disable_redirects\n\tadmin off\n\tstorage file_system "+dir)
}

func caddyCommand(file, dir string) *exec.Cmd {
	cmd := exec.Command("/usr/bin/caddy", "run", "--adapter", "caddyfile", "--config", file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}
	return cmd
}

// proxy is one that runs.
type proxy struct {
	configuration
	address string
}

// startProxy runs a configuration, and returns once the proxy listens.
func (r *rig) startProxy(c configuration) (*proxy, error) {
	dir := filepath.Join(r.dir, strings.ReplaceAll(c.name, " ", "-"))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	filled := r.ports
	port, err := freePort(proxyHost)
	if err != nil {
		return nil, err
	}
	filled.proxy = port
	text, err := r.complete(c, filled, dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.name, err)
	}
	file := filepath.Join(dir, "configuration")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	running, err := r.all.launch(dir+".log", c.kind.command(file, dir))
	if err != nil {
		return nil, err
	}
	p := &proxy{configuration: c, address: net.JoinHostPort(proxyHost, strconv.Itoa(port))}
	err = process.Await(c.name+" listens", 20*time.Second, func() bool { return listens(p.address) || !running.Running() })
	if err == nil && !running.Running() {
		err = fmt.Errorf("%s does not start", c.name)
	}
	return p, err
}

// complete returns the page's block with ports and files, as the configuration
// leaves it. The block itself must have everything that is filled in.
func (r *rig) complete(c configuration, p ports, dir string) (string, error) {
	blocks := r.snippets[c.kind.language]
	if len(blocks) != 1 {
		return "", fmt.Errorf("the page has %d blocks of %q, not one", len(blocks), c.kind.language)
	}
	snippet := blocks[0]
	text, err := c.kind.complete(snippet, p, dir)
	if c.edit == nil || err != nil {
		return text, err
	}
	edited := c.edit(snippet)
	if edited == snippet {
		return "", errors.New("the block is no longer written as what is made of it expects")
	}
	text, _ = c.kind.complete(edited, p, dir) // it may lack what was left out
	return text, nil
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// freePort returns a port that nobody has at any of the addresses.
func freePort(hosts ...string) (int, error) {
	first, err := net.Listen("tcp", hosts[0]+":0")
	if err != nil {
		return 0, err
	}
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	for _, host := range hosts[1:] {
		other, err := net.Listen("tcp", fmt.Sprintf("%s:%d", host, port))
		if err != nil {
			return freePort(hosts...)
		}
		defer other.Close()
	}
	return port, nil
}
