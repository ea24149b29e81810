// Package cli is the command line of sine-relay: a file per command, and in this one
// what all of them share.
package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
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

// Process is what a command has to work with.
type Process struct {
	// Args are those behind the name of the program.
	Args           []string
	Environ        []string // as of os.Environ
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	// Build is what the linker set.
	Build Build
}

type command struct {
	name, summary string
	run           func(context.Context, Process) int
	// arguments are what may follow the name, or [withFlags].
	arguments string
}

// withFlags is for a command that prints its flags by itself.
const withFlags = "[flags]"

// commands in the order in which help lists them.
func commands() []command {
	return []command{
		{"serve", "answer webhooks; this is what runs in production", serve, "[--SETTING=VALUE …], such as --log-level=debug"},
		{"dev", "relay, broker and an example decider in one process, to try it out", runDev, ""},
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

// UntilSignal is a context that the first signal ends. By then the second one does
// what signals do: it ends the program at once.
func UntilSignal() (context.Context, context.CancelFunc) {
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

// Run picks the command, runs it until ctx ends at the latest, and returns what the
// program is to exit with.
func Run(ctx context.Context, in Process) int {
	if len(in.Args) == 0 || in.Args[0] == "help" || asksForHelp(in.Args[0]) {
		usage(in.Stdout, commands())
		return exitOK
	}
	for _, c := range commands() {
		words := strings.Fields(c.name)
		if len(in.Args) >= len(words) && slices.Equal(in.Args[:len(words)], words) {
			in.Args = in.Args[len(words):]
			if len(in.Args) > 0 && asksForHelp(in.Args[0]) {
				return c.help(ctx, in)
			}
			return c.run(ctx, in)
		}
	}
	group := inGroup(in.Args[0])
	if len(in.Args) > 1 && len(group) > 0 && asksForHelp(in.Args[1]) {
		usage(in.Stdout, group)
		return exitOK
	}
	fmt.Fprintf(in.Stderr, "sine-relay: unknown command %q%s\n\n", strings.Join(in.Args, " "), subcommands(group))
	usage(in.Stderr, commands())
	return exitUsage
}

// noArguments complains about arguments to a command that takes none.
func noArguments(name string, in Process) bool {
	if len(in.Args) == 0 {
		return true
	}
	fmt.Fprintf(in.Stderr, "sine-relay %s takes no arguments, but was given %q\n", name, in.Args)
	return false
}

// orderly reports how a command that ran an app ended.
func orderly(in Process, err error) int {
	if err != nil {
		fmt.Fprintln(in.Stderr, "sine-relay:", terminal.PrintableError(err))
		return exitFailed
	}
	return exitOK
}
