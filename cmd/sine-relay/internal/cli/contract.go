package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/visit/contract"
)

func newContract(in Process) *cobra.Command {
	return newGroup("contract", "Print the contract for other teams: schemas, examples, AsyncAPI.",
		"  sine-relay contract schema event > event.schema.json", newContractAsyncAPI(in), newContractSchemas(in), newContractSchema(in), newContractExamples(in))
}

func newContractAsyncAPI(in Process) *cobra.Command {
	return &cobra.Command{
		Use: "asyncapi", Short: "Print the AsyncAPI 3.0 document, in JSON.",
		Long: "It has the subjects and streams of the settings: SINE_RELAY_SUBJECT_PREFIX, SINE_RELAY_EVENT_STREAM and so on.\n" +
			"Operations are those of the relay: what it sends other programs receive.",
		Example: "  sine-relay contract asyncapi > asyncapi.json",
		RunE: func(*cobra.Command, []string) error {
			settings, err := config.LoadNames(in.Environ)
			if err != nil {
				return err
			}
			_, err = in.Stdout.Write(contract.AsyncAPI(server.ContractNames(settings)))
			return err
		},
	}
}

// schemaRow is what `contract schemas --output json` prints of a schema.
type schemaRow struct {
	Name        string `json:"name"`
	ID          string `json:"id"`
	Description string `json:"description"`
}

func newContractSchemas(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "schemas", Short: "List the JSON Schemas.",
		Long:    "Each has an $id, which never changes its meaning. Events and decision records have that of their body in the\nheader ce-dataschema.",
		Example: "  sine-relay contract schemas",
	}
	format := addOutput(cmd)
	cmd.RunE = func(*cobra.Command, []string) error { return showSchemas(in.Stdout, *format) }
	return cmd
}

func showSchemas(out io.Writer, format string) error {
	rows := []schemaRow{}
	for _, s := range contract.Schemas() {
		rows = append(rows, schemaRow{s.Name, s.ID, s.Description})
	}
	if format == asJSON {
		return printJSON(out, struct {
			Schemas []schemaRow `json:"schemas"`
		}{rows})
	}
	table := newTable(out, "NAME", "DESCRIPTION")
	for _, r := range rows {
		table.row(r.Name, r.Description)
	}
	table.flush()
	return nil
}

func newContractSchema(in Process) *cobra.Command {
	return &cobra.Command{
		Use: "schema <name>", Short: "Print a JSON Schema, of 2020-12.",
		Long:              "Within v1, optional fields and enumerated values are added, and nothing else changes.",
		Example:           "  sine-relay contract schema event",
		ValidArgsFunction: completeOne(schemaNames),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, s := range contract.Schemas() {
				if s.Name == args[0] {
					_, err := in.Stdout.Write(s.Text)
					return err
				}
			}
			names := schemaNames()
			return usagef("%q is not a schema; there are %s%s", args[0], strings.Join(names, ", "), config.DidYouMean(args[0], names))
		},
	}
}

func schemaNames() (names []string) {
	for _, s := range contract.Schemas() {
		names = append(names, s.Name)
	}
	return names
}

// completeOne completes a first argument. The names are looked up only for that: most
// runs of the program have no use for them.
func completeOne(names func() []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(), cobra.ShellCompDirectiveNoFileComp
	}
}

// exampleRow is what `contract examples --output json` prints of an example.
type exampleRow struct {
	Message string `json:"message"`
	contract.Example
}

func newContractExamples(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "examples [message]", Short: "Print examples of messages: subject, headers, body.",
		Long: "With a message its examples are printed in JSON, with their bodies. The people in them are invented, and\n" +
			"subjects have the prefix visitors.",
		Example:           "  sine-relay contract examples event",
		ValidArgsFunction: completeOne(contract.Messages),
	}
	format := addOutput(cmd)
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) == 1 && contract.Examples(args[0]) == nil {
			names := contract.Messages()
			return usagef("%q is not a message; there are %s%s", args[0], strings.Join(names, ", "), config.DidYouMean(args[0], names))
		}
		return showExamples(in.Stdout, *format, args)
	}
	return cmd
}

// showExamples prints a list of all, or those of one message as they are on the wire.
func showExamples(out io.Writer, format string, message []string) error {
	names, rows := contract.Messages(), []exampleRow{}
	if len(message) > 0 {
		names = message
	}
	for _, name := range names {
		for _, e := range contract.Examples(name) {
			rows = append(rows, exampleRow{name, e})
		}
	}
	if format == asJSON || len(message) > 0 {
		return printJSON(out, struct {
			Examples []exampleRow `json:"examples"`
		}{rows})
	}
	table := newTable(out, "MESSAGE", "EXAMPLE", "WHAT IT IS")
	for _, r := range rows {
		table.row(r.Message, r.Name, r.Summary)
	}
	table.flush()
	return nil
}
