package main

import (
	"context"
	"fmt"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// serve runs the relay until a signal ends it. Its arguments are settings.
func serve(ctx context.Context, in invocation) int {
	environ, err := config.WithFlags(in.environ, in.args)
	if err != nil {
		fmt.Fprintln(in.err, "sine-relay serve:", printableError(err))
		return exitUsage
	}
	load := func() (config.Settings, error) { return config.LoadRules(environ, nil) }
	settings, err := config.Load(environ, nil)
	if err != nil {
		return misconfigured(in, err)
	}
	log, flush := newLogger(in.out, settings.Level, settings.LogFormat)
	defer flush()
	for _, w := range settings.Warnings.Lines() {
		log.Warn(w)
	}
	a, err := start(settings, load, log, plainly)
	if err != nil {
		return orderly(in, err)
	}
	return orderly(in, a.serve(ctx))
}

// misconfigured prints every fault of the configuration.
func misconfigured(in invocation, err error) int {
	fmt.Fprintln(in.err, "sine-relay: the configuration has faults:")
	fmt.Fprintln(in.err, printableLines(err.Error()))
	return exitUsage
}
