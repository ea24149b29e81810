package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

func newTail(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "tail", Short: "Print what comes in as it comes, until it is interrupted.",
		Long: `It prints the rows of sine-relay visits, each within a second of its being stored, and once. Rows that are
stored while there is no connection to NATS are printed when there is one again.`,
		Example: "  sine-relay tail --site hq",
	}
	f := addVisitFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return tail(cmd.Context(), in, f) }
	return cmd
}

func tail(ctx context.Context, in Process, f *visitFlags) error {
	filter, err := f.filter()
	if err != nil {
		return err
	}
	settings, err := operatorSettings(in)
	if err != nil {
		return err
	}
	history, err := admin.OpenHistory(server.AdminConfig(settings))
	if err != nil {
		return err
	}
	defer history.Close()
	out := newVisitPrinter(in.Stdout, f)
	following := false
	return history.Follow(ctx, filter, out.print, func(trouble error) {
		switch {
		case trouble != nil:
			fmt.Fprintf(in.Stderr, "NATS cannot be read: %s\n", terminal.PrintableError(trouble))
		case following:
			fmt.Fprintln(in.Stderr, "NATS can be read again. What was stored meanwhile follows.")
		default:
			following = true
			fmt.Fprintf(in.Stderr, "Following %s at %s. Ctrl-C ends it.\n", f.what("and"), terminal.Printable(history.Server()))
		}
	})
}
