package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// configCheck prints every fault, or that there is none, and the warnings.
func configCheck(_ context.Context, in invocation) int {
	if !noArguments("config check", in) {
		return exitUsage
	}
	settings, err := config.Load(in.environ, nil)
	if err != nil {
		return misconfigured(in, err)
	}
	for _, w := range settings.Warnings {
		fmt.Fprintln(in.out, "warning:", w)
	}
	fmt.Fprintf(in.out, "The configuration has no faults: %d integrations.\n", len(settings.Integrations))
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
	settings, err := config.Load(in.environ, nil)
	if err != nil {
		return misconfigured(in, err)
	}
	table := tabwriter.NewWriter(in.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "INTEGRATION\tSITE\tURL\tKEYS")
	for _, row := range settings.URLTable(base) {
		name := row.Integration
		if row.DisplayName != "" {
			name += " (" + row.DisplayName + ")"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", name, row.Site, row.URL, strings.Join(row.KeyNames, ", "))
	}
	table.Flush()
	if len(in.args) == 0 {
		fmt.Fprintln(in.out, "\nTo see your own host: sine-relay config urls https://your-host")
	}
	return exitOK
}
