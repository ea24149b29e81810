package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// check is one thing that config check or verify looked at.
type check struct {
	Name  string `json:"name"`
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

// checks collects what was looked at, and prints each at once, a line each, unless
// all of them are to be printed as JSON at the end.
type checks struct {
	out    io.Writer // nil for JSON
	all    []check
	failed bool
}

func newChecks(out io.Writer, format string) *checks {
	if format == asJSON {
		out = nil
	}
	return &checks{out: out, all: []check{}}
}

func (c *checks) add(name string, err error) {
	one := check{Name: name, OK: err == nil}
	if err != nil {
		one.Error = err.Error()
		c.failed = true
	}
	c.all = append(c.all, one)
	switch {
	case c.out == nil:
	case err == nil:
		fmt.Fprintln(c.out, "ok      ", terminal.Printable(name))
	default:
		fmt.Fprintf(c.out, "not ok   %s: %s\n", terminal.Printable(name), terminal.PrintableError(err))
	}
}

// detail is a text below what was added last; JSON has a field for it.
func (c *checks) detail(text string) {
	if c.out == nil {
		return
	}
	for line := range strings.Lines(terminal.PrintableLines(text)) {
		fmt.Fprintf(c.out, "         %s\n", strings.TrimSuffix(line, "\n"))
	}
}

// permissions tries the subjects of every site.
func (c *checks) permissions(ctx context.Context, s config.Settings) {
	if s.NATSURL == "" {
		return // it is in the relay, and readiness says how it is
	}
	seen := map[string]bool{}
	for _, i := range s.Integrations {
		if seen[i.Site] {
			continue
		}
		seen[i.Site] = true
		found, err := admin.Preflight(ctx, server.AdminConfig(s), i.Site)
		if err != nil {
			c.add("NATS", err)
			return
		}
		for _, r := range found {
			c.add("may publish "+r.Subject, r.Fault)
		}
	}
}
