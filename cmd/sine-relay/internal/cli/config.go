package cli

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/url"
	"strings"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// configCheck prints every fault, or that there is none, and the warnings.
func configCheck(ctx context.Context, in Process) int {
	f := flag.NewFlagSet("sine-relay config check", flag.ContinueOnError)
	f.SetOutput(in.Stderr)
	connect := f.Bool("connect", false, "connect to NATS as well, and say whether it asks who connects, what it permits, how its streams are, and who answers for the deciders")
	if f.Parse(in.Args) != nil {
		return exitUsage
	}
	if in.Args = f.Args(); !noArguments("config check", in) {
		return exitUsage
	}
	settings, err := config.Load(in.Environ, nil)
	warnings := settings.Warnings.Lines()
	if said := server.SmallDisk(settings); said != "" {
		warnings = append(warnings, said)
	}
	for _, w := range warnings {
		fmt.Fprintln(in.Stdout, "warning:", terminal.Printable(w))
	}
	if err != nil {
		return misconfigured(in, err)
	}
	if len(settings.NonFatal) > 0 {
		return misconfigured(in, settings.NonFatal)
	}
	plural := "s"
	if len(settings.Integrations) == 1 {
		plural = ""
	}
	fmt.Fprintf(in.Stdout, "The configuration has no faults: %d integration%s.\n", len(settings.Integrations), plural)
	if *connect {
		return checkNATS(ctx, in, settings)
	}
	return exitOK
}

func configDocs(_ context.Context, in Process) int {
	if !noArguments("config docs", in) {
		return exitUsage
	}
	fmt.Fprint(in.Stdout, config.Docs())
	return exitOK
}

// configURLs prints what to paste into Sine. An integration that sends one event
// only gets the URL that names it.
func configURLs(_ context.Context, in Process) int {
	base := "https://relay.example.com"
	if len(in.Args) > 0 {
		base = in.Args[0]
	}
	if len(in.Args) > 1 || !isWebAddress(base) {
		fmt.Fprintf(in.Stderr, "sine-relay config urls: write one URL at which Sine reaches the relay, such as https://relay.example.com, and not %q\n", strings.Join(in.Args, " "))
		return exitUsage
	}
	settings, err := config.Load(in.Environ, nil)
	if err != nil {
		return misconfigured(in, err)
	}
	table := newTable(in.Stdout, "INTEGRATION", "SITE", "URL", "KEYS")
	for _, row := range settings.URLTable(base) {
		name := row.Integration
		if row.DisplayName != "" {
			name += " (" + row.DisplayName + ")"
		}
		table.row(name, row.Site, row.URL, cmp.Or(strings.Join(row.KeyNames, ", "), "none: every call is answered 401"))
	}
	table.flush()
	if len(in.Args) == 0 {
		fmt.Fprintln(in.Stdout, "\nTo see your own host: sine-relay config urls https://your-host")
	}
	if len(settings.NonFatal) > 0 {
		return misconfigured(in, settings.NonFatal)
	}
	return exitOK
}

// isWebAddress reports whether paths can be put behind a text.
func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}
