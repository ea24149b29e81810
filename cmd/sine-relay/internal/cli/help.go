package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
)

func asksForHelp(arg string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, arg) }

// help prints what a command does, and its flags.
func (c command) help(ctx context.Context, in Process) int {
	if c.arguments == withFlags {
		fmt.Fprintf(in.Stdout, "sine-relay %s: %s\n\n", c.name, c.summary)
		in.Stderr = in.Stdout
		c.run(ctx, in)
		return exitOK
	}
	fmt.Fprintf(in.Stdout, "Usage: %s\n\n  %s\n\nSettings are read from the environment; sine-relay config docs lists them.\n",
		strings.TrimSpace("sine-relay "+c.name+" "+c.arguments), c.summary)
	return exitOK
}

// inGroup are the commands that begin with a word that is none by itself.
func inGroup(word string) (group []command) {
	for _, c := range commands() {
		if strings.HasPrefix(c.name, word+" ") {
			group = append(group, c)
		}
	}
	return group
}

func subcommands(group []command) string {
	if len(group) == 0 {
		return ""
	}
	var names []string
	for _, c := range group {
		names = append(names, c.name)
	}
	return "; there are: " + strings.Join(names, ", ")
}

func usage(w io.Writer, listed []command) {
	fmt.Fprintln(w, "Usage: sine-relay <command>")
	fmt.Fprintln(w)
	for _, c := range listed {
		fmt.Fprintf(w, "  %-19s%s\n", c.name, c.summary)
	}
	fmt.Fprintln(w)
	fmt.Fprintln(w, "Settings are read from the environment; sine-relay config docs lists them.")
	fmt.Fprintln(w, "A command ends with 0 when it is done, 1 when it failed or what it looked for is not so,")
	fmt.Fprintln(w, "2 for a wrong command line or configuration; ask ends with 3 and 4, too, see ask --help.")
	fmt.Fprintln(w, "sine-relay <command> --help shows the flags of a command.")
}
