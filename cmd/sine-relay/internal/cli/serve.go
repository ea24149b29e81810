package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/dev"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
)

// asFlags says how serve, dev and desk take their settings.
const asFlags = `Each setting is read from its variable (--log-level from SINE_RELAY_LOG_LEVEL) unless the flag is
given. Secrets are no flags: they are set in the environment, as SINE_RELAY_NATS_PASSWORD, or the
files that hold them are named, as by --nats-password-file.`

func newServe(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Answer webhooks: this is what runs in production.", Long: asFlags,
		Example: "  SINE_RELAY_KEYS_FILE=keys sine-relay serve --nats-store-dir /var/lib/sine-relay",
		RunE:    func(cmd *cobra.Command, _ []string) error { return serve(cmd.Context(), in) },
	}
	addSettings(cmd.Flags(), &in.Environ, func(f config.Flag) bool { return !f.Desk })
	return cmd
}

// serve runs the relay until a signal ends it.
func serve(ctx context.Context, in Process) error {
	settings, err := config.Load(in.Environ, nil)
	if err != nil {
		return err
	}
	log, flush := server.NewLogger(in.Stdout, settings.Level, settings.LogFormat)
	defer flush()
	for _, w := range settings.Warnings.Lines() {
		log.Warn(w)
	}
	relay, err := server.Start(server.Options{
		Settings: settings, Log: log, Version: in.Build.known().Version,
		Load: func() (config.Settings, error) { return config.LoadWithoutKeys(in.Environ, nil) },
	})
	if err != nil {
		return err
	}
	return relay.Run(ctx)
}

func newDev(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "dev", Short: "Run a relay, NATS and an example decider in one process, to try it out.",
		Long: "It has a default for every setting, keeps its state in .sine-relay, and prints what to paste into\n" +
			"another terminal.\n\n" + asFlags,
		Example: "  sine-relay dev --log-level info",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return dev.Run(cmd.Context(), dev.Options{
				Environ: in.Environ, Stdout: in.Stdout, Stderr: in.Stderr, Version: in.Build.known().Version,
			})
		},
	}
	addSettings(cmd.Flags(), &in.Environ, func(config.Flag) bool { return true })
	cmd.Flags().Lookup("log-level").DefValue = dev.LogLevel
	return cmd
}
