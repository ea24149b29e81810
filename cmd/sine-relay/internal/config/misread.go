package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// misread tells the problems that the YAML reader found, and whether there may be
// more behind them. What it could read is there all the same, so that the rest is
// looked at in the same run.
func misread(f *Problems, name string, err error) (partial bool) {
	var several *yaml.LoadErrors
	var one *yaml.LoadError
	switch {
	case err == nil:
	case errors.As(err, &several):
		for _, e := range several.Errors {
			partial = misreadAt(f, name, e) || partial
		}
	case errors.As(err, &one):
		partial = misreadAt(f, name, one)
	default:
		f.add(name, "%v", err)
		partial = true
	}
	return partial
}

var (
	unknownField = regexp.MustCompile(`^field (\S+) not found in type`)
	wrongKind    = regexp.MustCompile("^cannot construct !!(\\w+)(?: `(?s:.*)`)? into (.+)$")
)

func misreadAt(f *Problems, name string, e *yaml.LoadError) (partial bool) {
	if e.Mark.Line > 0 {
		name = fmt.Sprintf("%s:%d", name, e.Mark.Line)
	}
	what := strings.TrimPrefix(e.Message, "yaml: ")
	if m := unknownField.FindStringSubmatch(what); m != nil {
		f.add(name, "unknown field %q%s", m[1], fieldHint(m[1]))
		return false
	}
	if m := wrongKind.FindStringSubmatch(what); m != nil {
		what = fmt.Sprintf("here belongs %s, not %s", wantedKind(m[2]), foundKind(m[1]))
	}
	if what == "no documents in stream" {
		what = "is empty"
	}
	f.add(name, "%s", what)
	return true
}

func fieldHint(field string) string {
	if lower := strings.ToLower(field); strings.Contains(lower, "key") || strings.Contains(lower, "secret") {
		return ": this file holds no secret; put keys into the file of the integration's name in SINE_RELAY_KEYS_DIR"
	}
	return DidYouMean(field, fileFields)
}

// wantedKind tells a Go type in the words of the file.
func wantedKind(goType string) string {
	switch {
	case goType == "string":
		return "a text"
	case goType == "bool":
		return "true or false"
	case strings.HasPrefix(goType, "[]"):
		return "a list"
	default:
		return "a block of fields"
	}
}

// foundKind tells a YAML type in the same words, and leaves out its value.
func foundKind(tag string) string {
	switch tag {
	case "seq":
		return "a list"
	case "map":
		return "a block of fields"
	default:
		return "a single value"
	}
}
