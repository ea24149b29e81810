package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// Build says which program this is. What is empty is taken from the build information
// of the Go toolchain.
type Build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	// Date is that of the commit, as in RFC 3339.
	Date string `json:"date"`
	// Go, OS and Arch are always those of the toolchain.
	Go   string `json:"go"`
	OS   string `json:"os"`
	Arch string `json:"arch"`
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
		Go:   runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH,
	}
}

func newVersion(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "version", Short: "Print the version, the commit that it was built of, and that commit's date.",
		Example: "  sine-relay version --output json",
	}
	format := addOutput(cmd)
	cmd.RunE = func(*cobra.Command, []string) error { return in.Build.known().print(in.Stdout, *format) }
	return cmd
}

func (b Build) print(out io.Writer, format string) error {
	if format == asJSON {
		return printJSON(out, b)
	}
	_, err := fmt.Fprintf(out, "sine-relay %s, commit %s of %s, %s %s/%s\n", b.Version, b.Commit, b.Date, b.Go, b.OS, b.Arch)
	return err
}
