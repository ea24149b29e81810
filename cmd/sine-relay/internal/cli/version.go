package cli

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// Build says which program this is. What is empty is taken from the build information
// of the Go toolchain.
type Build struct {
	Version, Commit string
	// Date is that of the commit, as in RFC 3339.
	Date string
}

// known returns the build with what the Go toolchain recorded.
func (b Build) known() Build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	recorded := map[string]string{}
	for _, s := range info.Settings {
		recorded[s.Key] = s.Value
	}
	module := strings.TrimPrefix(info.Main.Version, "v")
	if module == "(devel)" {
		module = ""
	}
	commit := recorded["vcs.revision"]
	if commit != "" && recorded["vcs.modified"] == "true" {
		commit += "-modified"
	}
	return Build{
		Version: cmp.Or(b.Version, module, "dev"), Commit: cmp.Or(b.Commit, commit, "unknown"),
		Date: cmp.Or(b.Date, recorded["vcs.time"], "unknown"),
	}
}

func (b Build) String() string {
	return fmt.Sprintf("sine-relay %s, commit %s of %s, %s %s/%s", b.Version, b.Commit, b.Date, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func printVersion(_ context.Context, in Process) int {
	if !noArguments("version", in) {
		return exitUsage
	}
	fmt.Fprintln(in.Stdout, in.Build.known())
	return exitOK
}
