package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// integrationsFile is the form of SINE_RELAY_INTEGRATIONS_FILE. JSON is YAML.
type integrationsFile struct {
	// Defaults apply to every integration that does not say otherwise.
	Defaults     options `yaml:"defaults"`
	Integrations []entry `yaml:"integrations"`
}

// entry is one integration in the file. It holds no secret.
type entry struct {
	Name        string `yaml:"name"`
	DisplayName string `yaml:"displayName"`
	Site        string `yaml:"site"`
	ExternalID  string `yaml:"externalId"`
	options     `yaml:",inline"`
}

// options are what an integration may take from the defaults.
type options struct {
	Decider        string `yaml:"decider"`
	TimeZone       string `yaml:"timeZone"`
	DecisionBudget string `yaml:"decisionBudget"`
	// RejectBy is "code" or "status".
	RejectBy string `yaml:"rejectBy"`
	// RejectionConfirmed says that a test visit has shown that the way of
	// rejecting stops a check-in.
	RejectionConfirmed *bool `yaml:"rejectionConfirmed"`
	// Events are those that are switched on in Sine, for the warnings.
	Events []string `yaml:"events"`
	// EventNames are further spellings of event names.
	EventNames map[string]string   `yaml:"eventNames"`
	RejectText string              `yaml:"rejectText"`
	Fallbacks  map[string]fallback `yaml:"fallbacks"`
	Answers    answers             `yaml:"answers"`
}

type fallback struct {
	// Answer is "accept" or "reject".
	Answer      string `yaml:"answer"`
	VisitorText string `yaml:"visitorText"`
	AdminNote   string `yaml:"adminNote"`
}

type answers struct {
	Accept map[string]any `yaml:"accept"`
	Reject map[string]any `yaml:"reject"`
}

// or returns the options with defaults where they say nothing. Fallbacks and
// event names are taken one by one.
func (o options) or(d options) options {
	text := func(own, inherited string) string {
		if own == "" {
			return inherited
		}
		return own
	}
	o.Decider = text(o.Decider, d.Decider)
	o.TimeZone = text(o.TimeZone, d.TimeZone)
	o.DecisionBudget = text(o.DecisionBudget, d.DecisionBudget)
	o.RejectBy = text(o.RejectBy, d.RejectBy)
	o.RejectText = text(o.RejectText, d.RejectText)
	if o.RejectionConfirmed == nil {
		o.RejectionConfirmed = d.RejectionConfirmed
	}
	if o.Events == nil {
		o.Events = d.Events
	}
	if o.Answers.Accept == nil {
		o.Answers.Accept = d.Answers.Accept
	}
	if o.Answers.Reject == nil {
		o.Answers.Reject = d.Answers.Reject
	}
	o.EventNames = overlay(d.EventNames, o.EventNames)
	o.Fallbacks = overlay(d.Fallbacks, o.Fallbacks)
	return o
}

func overlay[V any](under, over map[string]V) map[string]V {
	all := make(map[string]V, len(under)+len(over))
	for name, value := range under {
		all[name] = value
	}
	for name, value := range over {
		all[name] = value
	}
	return all
}

// readFile reads the integrations file.
func readFile(path string) (integrationsFile, Faults) {
	content, err := os.ReadFile(path)
	if err != nil {
		return integrationsFile{}, Faults{{Prefix + "INTEGRATIONS_FILE", err.Error()}}
	}
	file, faults := parseFile(content)
	for i := range faults {
		faults[i].Where = filepath.Base(path) + faults[i].Where
	}
	return file, faults
}

// parseFile parses the content. Each fault's place is a suffix to the file's
// name.
func parseFile(content []byte) (file integrationsFile, faults Faults) {
	err := yaml.Load(content, &file, yaml.WithKnownFields())
	if err == nil {
		return file, nil
	}
	var several *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case errors.As(err, &several):
		for _, e := range several.Errors {
			faults = append(faults, misread(e))
		}
	case errors.As(err, &one):
		faults = append(faults, misread(one))
	default:
		faults.add("", "%v", err)
	}
	return integrationsFile{}, faults
}

var unknownField = regexp.MustCompile(`^field (\S+) not found in type`)

// misread tells a fault of the YAML reader in the words of the file.
func misread(e *yaml.LoadError) Fault {
	where := ""
	if e.Mark.Line > 0 {
		where = fmt.Sprintf(":%d", e.Mark.Line)
	}
	what := strings.TrimPrefix(e.Message, "yaml: ")
	if m := unknownField.FindStringSubmatch(what); m != nil {
		what = fmt.Sprintf("unknown field %q%s", m[1], didYouMean(m[1], fileFields))
	}
	return Fault{where, what}
}

// fileFields are the names of all fields of the file.
var fileFields = func() []string {
	var names []string
	for _, t := range []reflect.Type{
		reflect.TypeFor[integrationsFile](), reflect.TypeFor[entry](), reflect.TypeFor[options](),
		reflect.TypeFor[fallback](), reflect.TypeFor[answers](),
	} {
		for f := range t.Fields() {
			if name := f.Tag.Get("yaml"); !strings.HasPrefix(name, ",") {
				names = append(names, name)
			}
		}
	}
	return names
}()
