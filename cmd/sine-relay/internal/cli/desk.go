package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/deskserver"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
)

func newDesk(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "desk", Short: "Serve the web page for reception, security and who is on call.",
		Long: "It is a process of its own, beside the relays, and connects to their NATS as the user desk. Without a\n" +
			"provider of OpenID Connect or a proxy that signs people in it listens on this machine only.\n\n" + asFlags,
		Example: "  SINE_RELAY_NATS_URL=nats://desk:PASSWORD@nats:4222 sine-relay desk",
		RunE:    func(cmd *cobra.Command, _ []string) error { return runDesk(cmd.Context(), in) },
	}
	addSettings(cmd.Flags(), &in.Environ, func(f config.Flag) bool { return f.Desk || f.Shared })
	return cmd
}

// runDesk serves the desk until a signal ends it.
func runDesk(ctx context.Context, in Process) error {
	settings, of, err := config.LoadForDesk(in.Environ, nil)
	if err != nil {
		return err
	}
	server.SetGCPercent(in.Environ, server.DeskGCPercent)
	log, flush := server.NewLogger(in.Stdout, settings.Level, settings.LogFormat)
	defer flush()
	for _, w := range settings.Warnings.Lines() {
		log.Warn(w)
	}
	running, err := deskserver.Start(deskserver.Options{
		Settings: settings, Desk: of, Log: log, Version: in.Build.known().Version,
		NATS: server.AdminConfig(settings), Trier: deskserver.Trier(settings),
	})
	if err != nil {
		return err
	}
	return running.Run(ctx)
}
