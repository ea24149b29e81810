package main

import (
	"strings"
	"time"
)

// configuration is a block of the page, or what becomes of it where somebody
// writes something else.
type configuration struct {
	name string
	kind kind
	// edit changes the block; nil leaves it as it stands in the page.
	edit func(snippet string) string
	// blind is for how long after a kill the proxy still sends calls to the
	// relay that is gone, and loses them.
	blind time.Duration
	// probes: it sends nothing any more to a relay that is about to end.
	probes bool
	// resends: an event whose URL names it goes to the other relay.
	resends bool
}

// promised tells whether the page says what becomes of calls.
func (c configuration) promised() bool { return c.edit == nil }

var configurations = []configuration{
	{name: "nginx", kind: nginx, resends: true},
	{name: "haproxy", kind: haproxy, probes: true, resends: true},
	{name: "caddy", kind: caddy, blind: time.Second, probes: true},

	{name: "nginx without keep-alive", kind: nginx, edit: without("keepalive", `Connection ""`)},
	{name: "nginx without max_fails=0", kind: nginx, edit: replace(" max_fails=0", "")},
	{name: "haproxy with a TCP check", kind: haproxy, edit: haproxyTCP},
	{name: "caddy with upstreams alone", kind: caddy, edit: bareCaddy},
	{name: "caddy with lb_try_duration", kind: caddy, edit: replace("max_fails 2", "lb_try_duration 3s", "fail_duration 1s", "fail_duration 2s")},
	{name: "caddy with round_robin", kind: caddy, edit: replace("max_fails 2", "max_fails 2\n\t\t\tlb_policy round_robin")},
	{name: "caddy with probes of 8080", kind: caddy, edit: without("health_port")},
}

// silent is a trusted proxy that does not say whom it passes on, but passes on
// what the caller says.
var silent = configuration{name: "nginx without X-Forwarded-For", kind: nginx, edit: without("proxy_set_header X-Forwarded-For")}

func haproxyTCP(snippet string) string {
	return replace(" port 9090", "")(without("option httpchk", "option redispatch")(snippet))
}

// bareCaddy leaves nothing of reverse_proxy but its upstreams.
func bareCaddy(snippet string) string {
	before, rest, _ := strings.Cut(snippet, "10.0.0.12:8080 {")
	_, after, _ := strings.Cut(rest, "\n\t}\n")
	return before + "10.0.0.12:8080\n\t}\n" + after
}

func replace(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

// without drops the lines that hold one of the words.
func without(words ...string) func(string) string {
	return func(snippet string) string {
		var b strings.Builder
		for line := range strings.Lines(snippet) {
			if !holds(line, words) {
				b.WriteString(line)
			}
		}
		return b.String()
	}
}

func holds(line string, words []string) bool {
	for _, word := range words {
		if strings.Contains(line, word) {
			return true
		}
	}
	return false
}
