package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// helpColumns is how wide the table of flags may be.
const helpColumns = 100

// isGroup is the annotation of commands that do nothing but hold others.
const isGroup = "group"

// prepareHelp gives a command and all below it their help and the checks of their
// command lines.
func prepareHelp(cmd *cobra.Command) {
	cmd.Flags().BoolP("help", "h", false, "print this help")
	cmd.Flags().SortFlags = false
	cmd.Args = checkArgs
	cmd.DisableFlagsInUseLine = true
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) { writeHelp(cmd.OutOrStdout(), cmd) })
	cmd.SetFlagErrorFunc(flagError)
	if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, c := range cmd.Commands() {
		prepareHelp(c)
	}
}

func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [command...]", Short: "Print the help of a command.", Example: "  sine-relay help quarantine replay",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil && len(rest) > 0 {
				err = checkArgs(cmd, rest)
			}
			if err != nil {
				return usageError{err}
			}
			return cmd.Help()
		},
	}
}

// writeHelp prints what a command does, how it is written, its commands, its flags and
// an example.
func writeHelp(w io.Writer, cmd *cobra.Command) {
	fmt.Fprintln(w, cmd.Short)
	if cmd.Long != "" {
		fmt.Fprintln(w, "\n"+cmd.Long)
	}
	fmt.Fprintln(w, "\nUsage:")
	if cmd.HasSubCommands() {
		fmt.Fprintln(w, "  "+cmd.CommandPath()+" <command> [flags]")
	}
	if cmd.Annotations[isGroup] == "" {
		fmt.Fprintln(w, "  "+cmd.UseLine()+" [flags]")
	}
	writeCommands(w, cmd)
	fmt.Fprintf(w, "\nFlags:\n%s", cmd.LocalFlags().FlagUsagesWrapped(helpColumns))
	fmt.Fprintf(w, "\nExample:\n%s\n", cmd.Example)
	if cmd.HasSubCommands() {
		fmt.Fprintf(w, "\n%s <command> --help has the flags of a command.\n", cmd.CommandPath())
	}
	if !cmd.HasParent() {
		fmt.Fprint(w, "\nSettings are read from the environment: sine-relay config docs lists them.\n"+
			"Exit codes: 0 done; 1 failed, refused, or not as it should be; 2 wrong command line or configuration.\n")
	}
}

func writeCommands(w io.Writer, cmd *cobra.Command) {
	list := func(title, group string) {
		fmt.Fprintf(w, "\n%s:\n", title)
		for _, c := range cmd.Commands() {
			if !c.Hidden && c.GroupID == group {
				fmt.Fprintf(w, "  %-12s%s\n", c.Name(), c.Short)
			}
		}
	}
	for _, group := range cmd.Groups() {
		list(group.Title, group.ID)
	}
	if cmd.HasSubCommands() && len(cmd.Groups()) == 0 {
		list("Commands", "")
	}
}

// flagError says what is wrong with a flag, and what was probably meant.
func flagError(cmd *cobra.Command, err error) error {
	if args := cmd.Flags().Args(); cmd.HasSubCommands() && len(args) > 0 {
		return checkArgs(cmd, args) // the flags are those of a command that does not exist
	}
	var (
		unknown *pflag.NotExistError
		invalid *pflag.InvalidValueError
		missing *pflag.ValueRequiredError
	)
	switch {
	case errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() != "":
		return usagef("unknown flag -%s", unknown.GetSpecifiedName())
	case errors.As(err, &unknown):
		return usagef("unknown flag --%s%s", unknown.GetSpecifiedName(), didYouMeanFlag(cmd, unknown.GetSpecifiedName()))
	case errors.As(err, &missing):
		return usagef("--%s needs a value", missing.GetSpecifiedName())
	case errors.As(err, &invalid):
		// The error itself repeats the value, which may be a secret.
		return usagef("--%s: %w", invalid.GetFlag().Name, invalid.Unwrap())
	default:
		return usageError{err}
	}
}

func didYouMeanFlag(cmd *cobra.Command, name string) string {
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, "--"+f.Name)
		}
	})
	slices.Sort(known)
	return config.DidYouMean("--"+name, known)
}
