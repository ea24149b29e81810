package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/broker/conn"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

func newConfig(in Process) *cobra.Command {
	return newGroup("config", "Check the configuration, and print what to enter into Sine.",
		"  sine-relay config check --connect", inContext(in, newConfigCheck), newConfigURLs(in), newConfigDocs(in))
}

func newConfigDocs(in Process) *cobra.Command {
	return &cobra.Command{
		Use: "docs", Short: "Print the table of settings, in Markdown.",
		Example: "  sine-relay config docs | grep SPOOL",
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(in.Stdout, config.Docs())
			return err
		},
	}
}

// checkedConfig is what `config check --output json` prints.
type checkedConfig struct {
	Valid        bool     `json:"valid"`
	Integrations int      `json:"integrations"`
	Errors       []string `json:"errors"`
	Warnings     []string `json:"warnings"`
	// Server and NATS are what --connect finds, and Compared is with how many stored
	// events the integrations were compared.
	Server   string  `json:"server,omitempty"`
	NATS     []check `json:"nats,omitempty"`
	Compared int     `json:"compared,omitempty"`

	*checks
}

func newConfigCheck(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "check", Short: "Check the configuration: every error of it is printed.",
		Long: "With --connect, NATS is checked as well: whether it authenticates its clients, what it permits, how the\n" +
			"streams are configured and which deciders nobody answers for. Nothing is created there, and no decider\n" +
			"is asked. Where the user may read the stream of events, as an operator may and a relay need not, the\n" +
			"last of them are read by the configuration: a field that is at none of its configured places, that is\n" +
			"expected and missing, or that was there before, is a warning. It has names of fields and keys, no values.\n" +
			"Ends with 2 for an invalid configuration, 1 where NATS is not as it should be.",
		Example: "  sine-relay config check --connect",
	}
	connect := cmd.Flags().Bool("connect", false, "connect to NATS, and check it as well")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return checkConfig(cmd.Context(), in, *format, *connect) }
	return cmd
}

// checkConfig prints every error, or that there is none, and the warnings.
func checkConfig(ctx context.Context, in Process, format string, connect bool) error {
	settings, err := in.settings(loadAll)
	if err == nil {
		err = contained(settings)
	}
	found := newCheckedConfig(in.Stdout, format)
	found.warn(settings.Warnings.Lines()...)
	if small := server.SmallDisk(settings); small != "" {
		found.warn(small)
	}
	if problems := (config.Problems)(nil); errors.As(err, &problems) {
		found.Errors = problems.Lines()
	}
	found.Valid, found.Integrations = err == nil, len(settings.Integrations)
	if err == nil && format != asJSON {
		fmt.Fprintf(in.Stdout, "The configuration is valid: %s.\n", plural(found.Integrations, "integration"))
	}
	if err == nil && connect {
		err = found.connect(ctx, settings)
	}
	return errors.Join(err, found.print(in.Stdout))
}

// contained is what is wrong and does not keep a relay from starting, or nil: single
// integrations, keys, and the desk where it is configured.
func contained(s config.Settings) error {
	problems := s.NonFatal
	if s.HasDesk() {
		_, ofDesk := s.CheckDesk()
		problems = append(problems, ofDesk...)
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

func newCheckedConfig(out io.Writer, format string) *checkedConfig {
	return &checkedConfig{Errors: []string{}, Warnings: []string{}, checks: newChecks(out, format)}
}

// warn prints warnings, and keeps them for JSON.
func (c *checkedConfig) warn(warnings ...string) {
	c.Warnings = append(c.Warnings, warnings...)
	for _, w := range warnings {
		if c.out != nil {
			fmt.Fprintln(c.out, "warning:", terminal.Printable(w))
		}
	}
}

// print prints what is not printed yet, and returns an error where a check failed.
func (c *checkedConfig) print(out io.Writer) (err error) {
	if c.out == nil {
		err = printJSON(out, c)
	}
	if err == nil && c.failed {
		err = errReported
	}
	return err
}

// connect checks NATS. Nothing is created there, and no visitor comes of it.
func (c *checkedConfig) connect(ctx context.Context, s config.Settings) error {
	if s.NATSURL == "" {
		return settingError{errors.New("--connect needs an existing NATS, by SINE_RELAY_NATS_URL: the embedded one runs within serve alone")}
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	defer func() { c.NATS = c.all }()
	found, err := admin.Examine(ctx, server.AdminConfig(s))
	c.add("NATS: connected", err)
	if err != nil { // it is reported
		return c.compare(ctx, s, false)
	}
	c.Server = found.Server
	c.detail(found.Server)
	if found.Unauthenticated {
		c.warn(conn.UnauthenticatedText)
	} else {
		c.add("NATS authenticates its clients", nil)
	}
	for _, stream := range found.Streams {
		c.add("stream "+stream.Name+" can be used", errors.Join(stream.Fault, stream.Pending))
		c.warn(stream.Drift...)
	}
	c.add("no stream stores check-in requests", found.Requests)
	c.warn(unanswered(ctx, s).Lines()...)
	c.permissions(ctx, s)
	return c.compare(ctx, s, true)
}

// comparedMessages are those of the stream of events whose integrations are compared.
const comparedMessages = 2000

// compare reads the last events by the configuration. The user of a relay need not be
// permitted to read them: that, and what went wrong before, is no failure here.
func (c *checkedConfig) compare(ctx context.Context, s config.Settings, connected bool) error {
	reader, err := relay.NewReader(s.Integrations, server.Limits(s))
	if err != nil {
		return err
	}
	comparison := reader.Compare()
	err = eachLatest(ctx, server.AdminConfig(s), comparison.Add)
	switch {
	case errors.Is(err, visit.ErrDenied):
		c.detail("events were not compared with the configuration: this user may not read them; an operator may: config check --connect --context NAME")
		return nil
	case err != nil && connected && !errors.Is(err, visit.ErrStreamMissing):
		c.warn("events were not compared with the configuration: " + err.Error())
	}
	c.Compared = comparison.Events()
	if c.Compared > 0 {
		c.detail(plural(c.Compared, "stored event") + " compared with the configuration")
	}
	var warnings config.Problems
	for _, f := range comparison.Findings() {
		of := slices.IndexFunc(s.Entries, func(e config.Entry) bool { return e.Name == f.Integration })
		warnings = append(warnings, config.Problem{Where: s.Entries[of].Where, Of: "integration " + f.Integration, What: f.What})
	}
	c.warn(warnings.Lines()...)
	return nil
}

// eachLatest calls fn for the events among the last messages of their stream.
func eachLatest(ctx context.Context, cfg admin.Config, fn func(*visit.Event)) error {
	events, err := admin.OpenEvents(cfg)
	if err != nil {
		return err
	}
	defer events.Close()
	return events.Latest(ctx, comparedMessages, func(s admin.StoredEvent) error {
		if s.Fault == nil {
			fn(s.Event)
		}
		return nil
	})
}

// unanswered are warnings for the deciders that nobody is seen to answer for. No
// check-in request is made.
func unanswered(ctx context.Context, s config.Settings) (warnings config.Problems) {
	found, discovery, err := admin.FindDeciders(ctx, server.AdminConfig(s))
	switch {
	case err != nil:
		return config.Problems{{Where: "deciders", What: "who answers is not known: " + err.Error()}}
	case discovery.Cut:
		return config.Problems{{Where: "deciders", What: "who answers is not known: " + discovery.String()}}
	}
	subjects := visit.Subjects{Prefix: s.SubjectPrefix}
	root := strings.TrimSuffix(subjects.All(visit.RootAsk), ">")
	var known []string
	for _, a := range answered(found, subjects) {
		known = append(known, strings.TrimPrefix(a.subject, root))
	}
	for n, i := range s.Integrations {
		if e := s.Entries[n]; len(e.Kinds) > 0 && !slices.Contains(e.Kinds, visit.KindCheckInRequest) {
			continue
		}
		for _, a := range askedBy(s.Integrations[n:n+1], subjects) {
			if len(server.AnsweringFor(found, a.subject)) > 0 {
				continue
			}
			warnings = append(warnings, config.Problem{
				Where: s.Entries[n].Where, Of: "integration " + i.Name + ", decider " + a.decider,
				What: "nobody is seen to answer its check-in requests" + config.DidYouMean(strings.TrimPrefix(a.subject, root), known) +
					"; a program that is not a NATS micro service is not seen: try it by sine-relay ask",
			})
		}
	}
	return warnings
}

// exampleURL stands for where Sine reaches the relay.
const exampleURL = "https://relay.example.com"

// webhookRow is what `config urls --output json` prints of an integration.
type webhookRow struct {
	Integration string   `json:"integration"`
	DisplayName string   `json:"displayName,omitempty"`
	Site        string   `json:"site"`
	ExternalID  string   `json:"externalId,omitempty"`
	URL         string   `json:"url"`
	Keys        []string `json:"keys"` // their names
}

func newConfigURLs(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "urls [url]", Short: "Print the webhook URL of each integration, to be entered into Sine.",
		Long: "The argument is where Sine reaches the relay. An integration that sends one kind of webhook only gets\n" +
			"the URL of that kind. Keys are shown by their names.",
		Example: "  sine-relay config urls https://relay.example.com",
	}
	format := addOutput(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		base := append(args, exampleURL)[0]
		if !isWebAddress(base) {
			return usagef("%q is not the URL at which Sine reaches the relay; write for example %s", base, exampleURL)
		}
		return printURLs(in, *format, base)
	}
	return cmd
}

func printURLs(in Process, format, base string) error {
	settings, err := config.Load(in.Environ, nil)
	if err != nil {
		return err
	}
	rows := []webhookRow{}
	for _, row := range settings.URLTable(base) {
		rows = append(rows, webhookRow{row.Integration, row.DisplayName, row.Site, row.ExternalID, row.URL, append([]string{}, row.KeyNames...)})
	}
	err = showURLs(in.Stdout, format, rows, base)
	if err == nil && len(settings.NonFatal) > 0 {
		err = settings.NonFatal
	}
	return err
}

func showURLs(out io.Writer, format string, rows []webhookRow, base string) error {
	if format == asJSON {
		return printJSON(out, struct {
			Integrations []webhookRow `json:"integrations"`
		}{rows})
	}
	table := newTable(out, "INTEGRATION", "SITE", "EXTERNAL ID", "URL", "KEYS")
	for _, row := range rows {
		name := row.Integration
		if row.DisplayName != "" {
			name += " (" + row.DisplayName + ")"
		}
		table.row(name, row.Site, row.ExternalID, row.URL, cmp.Or(strings.Join(row.Keys, ", "), "none: every webhook is answered 401"))
	}
	table.flush()
	if base == exampleURL {
		fmt.Fprintln(out, "\nTo see your own host: sine-relay config urls https://your-host")
	}
	return nil
}

// isWebAddress reports whether paths can be put behind a text.
func isWebAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}
