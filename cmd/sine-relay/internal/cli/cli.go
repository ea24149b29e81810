// Package cli is the command line of sine-relay: a file per command, and what all of
// them share in cli.go, help.go, flags.go and output.go.
//
// A command reads its flags and the settings of the environment, prints data on the
// standard output and everything else on the standard error, and ends with [ExitDone],
// [ExitFailed] or [ExitUsage].
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// Exit codes.
const (
	// ExitDone is for a command that did what it is for.
	ExitDone = 0
	// ExitFailed is for one that failed or was refused, and for one that looked for
	// something that is not so.
	ExitFailed = 1
	// ExitUsage is for a wrong command line or configuration.
	ExitUsage = 2
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

	// context is that of the nats command which --context names, for commands that
	// have the flag.
	context *string
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

// Run runs the command that the arguments name, until ctx ends at the latest, and
// returns what the program is to exit with.
func Run(ctx context.Context, in Process) int {
	root := newRoot(in)
	// Without arguments of its own, cobra would take those of this process.
	root.SetArgs(append([]string{}, in.Args...))
	root.SetIn(in.Stdin)
	root.SetOut(in.Stdout)
	root.SetErr(in.Stderr)
	cmd, err := root.ExecuteContextC(ctx)
	return in.report(cmd, err)
}

// newRoot has every command. Their groups are in the order in which help lists them.
func newRoot(in Process) *cobra.Command {
	root := &cobra.Command{
		Use:   "sine-relay",
		Short: "Answer the webhooks of Sine, the visitor management, and put them on NATS.",
		Example: `  sine-relay dev
  sine-relay serve --log-level=debug
  sine-relay quarantine ls --help`,
		SilenceErrors: true, SilenceUsage: true, Annotations: map[string]string{isGroup: "all"},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	printsVersion := root.Flags().Bool("version", false, "print the version")
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		if *printsVersion {
			return in.Build.known().print(in.Stdout, asTable)
		}
		return cmd.Help()
	}
	help := newHelp(root)
	root.SetHelpCommand(help)
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Run a relay", []*cobra.Command{newServe(in), newDev(in), newDesk(in), newHealth(in), inContext(in, newVerify)}},
		{"Set it up", []*cobra.Command{newConfig(in), newContract(in), newDecode(in), inContext(in, newLearn), inContext(in, newDeciders), inContext(in, newAsk)}},
		{"Operate it", []*cobra.Command{
			inContext(in, newLockdown), inContext(in, newOverride), inContext(in, newOrders),
			inContext(in, newVisits), inContext(in, newTail), inContext(in, newExplain), inContext(in, newQuarantine), inContext(in, newRederive), newSpool(in),
		}},
		{"About the program", []*cobra.Command{newCompletion(), newVersion(in), help}},
	} {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.title
			root.AddCommand(c)
		}
	}
	prepareHelp(root)
	return root
}

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// settingError is about the environment.
type settingError struct{ error }

// errReported is for a command that failed and has said so.
var errReported = errors.New("the command failed")

// report prints an error, and returns the exit code.
func (in Process) report(cmd *cobra.Command, err error) int {
	var (
		problems config.Problems
		usage    usageError
		setting  settingError
	)
	switch {
	case err == nil:
		return ExitDone
	case errors.Is(err, errReported):
		return ExitFailed
	case errors.As(err, &problems):
		fmt.Fprintln(in.Stderr, "sine-relay: the configuration has errors:")
		fmt.Fprintln(in.Stderr, terminal.PrintableLines(problems.Error()))
		return ExitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(in.Stderr, "%s: %s\nSee %s --help\n", cmd.CommandPath(), terminal.PrintableError(err), cmd.CommandPath())
		return ExitUsage
	}
	fmt.Fprintf(in.Stderr, "%s: %s\n", cmd.CommandPath(), terminal.PrintableError(err))
	if errors.As(err, &setting) {
		return ExitUsage
	}
	return ExitFailed
}

// newGroup is a command that does nothing but hold others.
func newGroup(name, short, example string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: name, Short: short, Example: example, Annotations: map[string]string{isGroup: name}}
	group.AddCommand(commands...)
	group.RunE = func(*cobra.Command, []string) error {
		var names []string
		for _, c := range commands {
			names = append(names, c.Name())
		}
		return usagef("a command is missing; there are %s", strings.Join(names, ", "))
	}
	return group
}

// checkArgs accepts as many arguments as the usage line of a command shows. In place of
// the first one of a group, or of the program, there may be a command that does not
// exist.
func checkArgs(cmd *cobra.Command, args []string) error {
	_, want, _ := strings.Cut(cmd.Use, " ")
	most, least := len(strings.Fields(want)), 0
	for _, name := range strings.Fields(want) {
		if !strings.HasPrefix(name, "[") {
			least++
		}
		if strings.Contains(name, "...") {
			most = len(args)
		}
	}
	switch {
	case len(args) > most && cmd.Annotations[isGroup] != "":
		return usagef("unknown command %q%s", args[0], config.DidYouMean(args[0], namesOf(cmd.Commands())))
	case len(args) > most && most == 0:
		return usagef("takes no arguments, but has %q%s", args[0], config.DidYouMean(args[0], namesOf(cmd.Commands())))
	case len(args) > most:
		return usagef("has an argument too many: %q", args[most])
	case len(args) < least:
		return usagef("needs %s", want)
	}
	return nil
}

func namesOf(commands []*cobra.Command) (names []string) {
	for _, c := range commands {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	return names
}
