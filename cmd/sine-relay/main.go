// Command sine-relay answers Sine's visitor webhook and puts it on NATS.
package main

import (
	"os"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"

	_ "time/tzdata" // an image without a zone database still knows every site's zone
)

// A release sets them by -ldflags "-X main.version=1.2.3"; where they are empty, the Go
// toolchain's build information has them.
var version, commit, date string

func main() {
	server.SetGCPercent(os.Environ(), server.GCPercent)
	server.LimitMemory(os.Environ(), os.DirFS("/"))
	ctx, stop := cli.UntilSignal()
	code := cli.Run(ctx, cli.Process{
		Args: os.Args[1:], Environ: os.Environ(), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Build: cli.Build{Version: version, Commit: commit, Date: date},
	})
	stop()
	os.Exit(code)
}
