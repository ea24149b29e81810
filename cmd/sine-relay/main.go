// Command sine-relay answers Sine's visitor webhook and puts it on NATS.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/sine-relay/sine-relay/visit"

	_ "time/tzdata" // an image without a zone database still knows every site's zone
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	// exitUsage is for a wrong command or configuration.
	exitUsage = 2
	// exitRejected and exitUndecided are how ask ends where a visitor would not
	// have been let in by a decider.
	exitRejected  = 3
	exitUndecided = 4
)

// invocation is what a command has to work with.
type invocation struct {
	args    []string
	environ []string
	out     io.Writer
	err     io.Writer
}

type command struct {
	name, summary string
	run           func(context.Context, invocation) int
	// arguments are what may follow the name, or [withFlags].
	arguments string
}

// withFlags is for a command that prints its flags by itself.
const withFlags = "[flags]"

// commands in the order in which help lists them.
func commands() []command {
	return []command{
		{"serve", "answer webhooks; this is what runs in production", serve, "[--SETTING=VALUE …], such as --log-level=debug"},
		{"dev", "relay, broker and an example decider in one process, to try it out", dev, ""},
		{"config check", "check the configuration and exit; with --connect, NATS as well", configCheck, withFlags},
		{"config urls", "print what to paste into Sine, per integration", configURLs, "[https://YOUR-HOST]"},
		{"config docs", "print the table of settings in Markdown", configDocs, ""},
		{"spool ls", "list what waits in a spool that no relay has open: spool ls --dir DIR", spoolList, withFlags},
		{"spool drain", "send it to NATS, as a relay would: spool drain --dir DIR", spoolDrain, "[--dir DIR]"},
		{"quarantine ls", "list what could not be understood, by reason", quarantineList, withFlags},
		{"quarantine show", "show one message: quarantine show SEQUENCE", quarantineShow, withFlags},
		{"quarantine replay", "read it again, as after a change of the configuration, and store it with --submit", quarantineReplay, withFlags},
		{"ask", "try a door without a visitor: ask --integration NAME | --site SITE [--file BODY]", ask, withFlags},
		{"lockdown lift", "end a lockdown: lockdown lift --site SITE", lift(visit.OrderLockdown), withFlags},
		{"lockdown", "turn every visitor of a site away: lockdown --site SITE --message TEXT", give(visit.OrderLockdown), withFlags},
		{"override lift", "end an override: override lift --site SITE", lift(visit.OrderOverride), withFlags},
		{"override", "let visitors in without a decider: override --site SITE --accept --for 30m --reason TEXT", give(visit.OrderOverride), withFlags},
		{"orders", "list the lockdowns and overrides, and which relays obey them", listOrders, ""},
		{"explain", "print how a check-in request was answered and why: explain REFERENCE", explain, withFlags},
		{"deciders", "list who answers questions, and for which integration nobody does", listDeciders, ""},
		{"health", "ask a relay on this machine whether it is ready; for container health checks", health, ""},
		{"verify", "try a running relay: readiness, keys, and what its NATS credentials permit", verify, withFlags},
		{"version", "print the version", printVersion, ""},
	}
}

func main() {
	calmCollector(os.Environ())
	limitMemory(os.Environ(), os.DirFS("/"))
	os.Exit(run(invocation{args: os.Args[1:], environ: os.Environ(), out: os.Stdout, err: os.Stderr}))
}

// calmCollector lets the heap grow to three times what is live before it is
// collected, unless the operator set GOGC: a few megabytes are live, so that the
// default would collect them fifty times a second under load.
func calmCollector(environ []string) {
	if _, set := lookup(environ, "GOGC"); !set {
		debug.SetGCPercent(200)
	}
}

// untilSignal is a context that the first signal ends. By then the second one does
// what signals do: it ends the program at once.
func untilSignal() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		}
		signal.Stop(signals)
		cancel()
	}()
	return ctx, cancel
}

// run picks the command.
func run(in invocation) int {
	ctx, stop := untilSignal()
	defer stop()
	if len(in.args) == 0 || in.args[0] == "help" || asksForHelp(in.args[0]) {
		usage(in.out, commands())
		return exitOK
	}
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(in.args) >= len(words) && slices.Equal(in.args[:len(words)], words) {
			in.args = in.args[len(words):]
			if len(in.args) > 0 && asksForHelp(in.args[0]) {
				return c.help(ctx, in)
			}
			return c.run(ctx, in)
		}
	}
	group := inGroup(in.args[0])
	if len(in.args) > 1 && len(group) > 0 && asksForHelp(in.args[1]) {
		usage(in.out, group)
		return exitOK
	}
	fmt.Fprintf(in.err, "sine-relay: unknown command %q%s\n\n", strings.Join(in.args, " "), subcommands(group))
	usage(in.err, commands())
	return exitUsage
}

// lookup returns the value of a variable, if it is set and not empty.
func lookup(environ []string, name string) (value string, ok bool) {
	for _, pair := range environ {
		if v, found := strings.CutPrefix(pair, name+"="); found {
			value = v
		}
	}
	return value, value != ""
}

// noArguments complains about arguments to a command that takes none.
func noArguments(name string, in invocation) bool {
	if len(in.args) == 0 {
		return true
	}
	fmt.Fprintf(in.err, "sine-relay %s takes no arguments, but was given %q\n", name, in.args)
	return false
}
