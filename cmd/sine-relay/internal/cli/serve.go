package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/dev"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// serve runs the relay until a signal ends it. Its arguments are settings.
func serve(ctx context.Context, in Process) int {
	environ, err := config.WithFlags(in.Environ, in.Args)
	if err != nil {
		fmt.Fprintln(in.Stderr, "sine-relay serve:", terminal.PrintableError(err))
		return exitUsage
	}
	load := func() (config.Settings, error) { return config.LoadWithoutKeys(environ, nil) }
	settings, err := config.Load(environ, nil)
	if err != nil {
		return misconfigured(in, err)
	}
	log, flush := server.NewLogger(in.Stdout, settings.Level, settings.LogFormat)
	defer flush()
	for _, w := range settings.Warnings.Lines() {
		log.Warn(w)
	}
	relay, err := server.Start(server.Options{Settings: settings, Load: load, Log: log, Version: in.Build.known().Version})
	if err != nil {
		return orderly(in, err)
	}
	return orderly(in, relay.Run(ctx))
}

func runDev(ctx context.Context, in Process) int {
	if !noArguments("dev", in) {
		return exitUsage
	}
	err := dev.Run(ctx, dev.Options{Environ: in.Environ, Stdout: in.Stdout, Stderr: in.Stderr, Version: in.Build.known().Version})
	if faults := (config.Problems)(nil); errors.As(err, &faults) {
		return misconfigured(in, err)
	}
	return orderly(in, err)
}

// misconfigured prints every fault of the configuration.
func misconfigured(in Process, err error) int {
	fmt.Fprintln(in.Stderr, "sine-relay: the configuration has faults:")
	fmt.Fprintln(in.Stderr, terminal.PrintableLines(err.Error()))
	return exitUsage
}
