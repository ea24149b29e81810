// Package contract has the contract of Sine Relay for programs in other languages: JSON
// Schemas of every message, examples, and an AsyncAPI document over them. Everything is
// generated from the types and comments of package visit.
//
// The $id of a schema never changes its meaning. Within v1, optional fields, headers and
// enumerated values are added, and nothing else changes: tests compare each version with
// all that were released before.
package contract

//go:generate go run ./internal/generate

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

//go:embed v1
var embedded embed.FS

// Files returns the files of v1: "event.schema.json", "examples/event.json",
// "asyncapi.json" and so on.
func Files() fs.FS {
	files, err := fs.Sub(embedded, "v1")
	if err != nil {
		panic(err) // the name is valid
	}
	return files
}

const schemaSuffix = ".schema.json"

// Schema describes one schema.
type Schema struct {
	// Name is the message's, such as "event", or that of its headers,
	// "event-headers".
	Name string
	// ID is the $id. Messages name it in [visit.HeaderDataSchema].
	ID string
	// Description is a sentence.
	Description string
	// Text is the schema itself, of JSON Schema 2020-12.
	Text []byte
}

// Schemas returns all schemas, in the order of their names.
func Schemas() []Schema {
	var all []Schema
	for _, file := range list("*" + schemaSuffix) {
		s, err := readSchema(file)
		if err != nil {
			panic(err) // it is embedded, and a test reads each
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Schema) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func readSchema(file string) (Schema, error) {
	text, err := fs.ReadFile(Files(), file)
	if err != nil {
		return Schema{}, err
	}
	var head struct {
		ID          string `json:"$id"`
		Description string
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return Schema{}, fmt.Errorf("%s: %w", file, err)
	}
	sentence, _, _ := strings.Cut(strings.ReplaceAll(head.Description, "\n", " "), ". ")
	return Schema{strings.TrimSuffix(file, schemaSuffix), head.ID, strings.TrimSuffix(sentence, ".") + ".", text}, nil
}

// Example is a message as it is on the wire.
type Example struct {
	Name    string `json:"name"`
	Summary string `json:"summary"`
	// Subject is empty for what has none of its own, such as a reply.
	Subject string            `json:"subject,omitempty"`
	Headers map[string]string `json:"headers,omitempty"`
	// Payload is the body; a text where that is not JSON.
	Payload json.RawMessage `json:"payload"`
}

// Messages returns the names of the messages that have examples, in their order.
func Messages() []string {
	var names []string
	for _, file := range list("examples/*.json") {
		names = append(names, strings.TrimSuffix(path.Base(file), ".json"))
	}
	return names
}

// Examples returns those of a message, as [Messages] names it, and none for an unknown
// name. The people in them are invented.
func Examples(message string) []Example {
	text, err := fs.ReadFile(Files(), "examples/"+message+".json")
	if err != nil {
		return nil
	}
	var all []Example
	if err := json.Unmarshal(text, &all); err != nil {
		panic(err) // it is embedded, and a test reads each
	}
	return all
}

func list(pattern string) []string {
	names, err := fs.Glob(Files(), pattern)
	if err != nil {
		panic(err) // the pattern is valid
	}
	return names
}

// Names are those that an installation chooses. The zero value has the default ones.
type Names struct {
	SubjectPrefix                                              string
	EventStream, DecisionStream, QuarantineStream, AuditStream string
	OrderBucket                                                string
}

// AsyncAPI returns the AsyncAPI 3.0 document, in JSON, with the subjects, streams and
// bucket of an installation.
func AsyncAPI(n Names) []byte {
	text, err := fs.ReadFile(Files(), "asyncapi.json")
	if err != nil {
		panic(err) // it is embedded
	}
	var pairs []string
	replace := func(format, standard, chosen string) {
		if chosen != "" && chosen != standard {
			pairs = append(pairs, fmt.Sprintf(format, standard), fmt.Sprintf(format, chosen))
		}
	}
	replace("%s.v1.", visit.DefaultPrefix, n.SubjectPrefix)
	replace("%q", visit.DefaultEventStream, n.EventStream)
	replace("%q", visit.DefaultDecisionStream, n.DecisionStream)
	replace("%q", visit.DefaultQuarantineStream, n.QuarantineStream)
	replace("%q", visit.DefaultAuditStream, n.AuditStream)
	replace("%q", visit.DefaultOrderBucket, n.OrderBucket)
	replace("$KV.%s.", visit.DefaultOrderBucket, n.OrderBucket)
	return []byte(strings.NewReplacer(pairs...).Replace(string(text)))
}
