package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/url"
	"strings"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// configCheck prints every fault, or that there is none, and the warnings.
func configCheck(ctx context.Context, in invocation) int {
	f := flag.NewFlagSet("sine-relay config check", flag.ContinueOnError)
	f.SetOutput(in.err)
	connect := f.Bool("connect", false, "connect to NATS as well, and say whether it asks who connects, what it permits, how its streams are, and who answers for the deciders")
	if f.Parse(in.args) != nil {
		return exitUsage
	}
	if in.args = f.Args(); !noArguments("config check", in) {
		return exitUsage
	}
	settings, err := config.Load(in.environ, nil)
	warnings := settings.Warnings.Lines()
	if said := smallDisk(settings); said != "" {
		warnings = append(warnings, said)
	}
	for _, w := range warnings {
		fmt.Fprintln(in.out, "warning:", printable(w))
	}
	if err != nil {
		return misconfigured(in, err)
	}
	if len(settings.Contained) > 0 {
		return misconfigured(in, settings.Contained)
	}
	plural := "s"
	if len(settings.Integrations) == 1 {
		plural = ""
	}
	fmt.Fprintf(in.out, "The configuration has no faults: %d integration%s.\n", len(settings.Integrations), plural)
	if *connect {
		return checkNATS(ctx, in, settings)
	}
	return exitOK
}

func configDocs(_ context.Context, in invocation) int {
	if !noArguments("config docs", in) {
		return exitUsage
	}
	fmt.Fprint(in.out, config.Docs())
	return exitOK
}

// configURLs prints what to paste into Sine. An integration that sends one event
// only gets the URL that names it.
func configURLs(_ context.Context, in invocation) int {
	base := "https://relay.example.com"
	if len(in.args) > 0 {
		base = in.args[0]
	}
	if len(in.args) > 1 || !isWebAddress(base) {
		fmt.Fprintf(in.err, "sine-relay config urls: write one URL at which Sine reaches the relay, such as https://relay.example.com, and not %q\n", strings.Join(in.args, " "))
		return exitUsage
	}
	settings, err := config.Load(in.environ, nil)
	if err != nil {
		return misconfigured(in, err)
	}
	table := newTable(in.out, "INTEGRATION", "SITE", "URL", "KEYS")
	for _, row := range settings.URLTable(base) {
		name := row.Integration
		if row.DisplayName != "" {
			name += " (" + row.DisplayName + ")"
		}
		table.row(name, row.Site, row.URL, cmp.Or(strings.Join(row.KeyNames, ", "), "none: every call is answered 401"))
	}
	table.flush()
	if len(in.args) == 0 {
		fmt.Fprintln(in.out, "\nTo see your own host: sine-relay config urls https://your-host")
	}
	if len(settings.Contained) > 0 {
		return misconfigured(in, settings.Contained)
	}
	return exitOK
}

// isWebAddress reports whether paths can be put behind a text.
func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}
