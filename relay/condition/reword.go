package condition

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/common/operators"
)

var (
	unknownName = regexp.MustCompile(`^undeclared reference to '([^']+)'( \(did you mean '([^']+)'.*\))?`)
	noOverload  = regexp.MustCompile(`^found no matching overload for '(.+)' applied to '(.+)'$`)
	unexpected  = regexp.MustCompile(`(?s)^(?:(?:mismatched|extraneous) input|token recognition error at:|no viable alternative at input) '(.+?)'(?: expecting .*)?$`)
)

// reword says what CEL says of a place in words for those who configure a relay.
func reword(what string, sign rune) string {
	if m := unknownName.FindStringSubmatch(what); m != nil {
		return fmt.Sprintf("undeclared reference to %q%s", m[1], nameHint(m[1], m[3], sign))
	}
	if m := noOverload.FindStringSubmatch(what); m != nil {
		return fmt.Sprintf("there is no %s for %s", symbol(m[1]), m[2])
	}
	if m := unexpected.FindStringSubmatch(what); m != nil {
		if m[1] == "<EOF>" {
			return "ends too early"
		}
		return fmt.Sprintf("unexpected %q%s", m[1], syntaxHint(m[1]))
	}
	if what == "comprehension exceeds nesting limit" {
		return "a loop within a loop or over the result of one is not allowed (all, exists, exists_one, filter, map)"
	}
	return what
}

// nameHint says what may have been meant by a name. What is wrong with a function is
// found at its opening parenthesis.
func nameHint(name, near string, sign rune) string {
	switch strings.ToLower(name) {
	case "now", "hour", "hours", "minute", "minutes", "day", "timestamp":
		return `; the time at the site is time ("17:30"), weekday ("Monday") and date ("2026-12-25")`
	}
	if near != "" {
		return "; did you mean " + near + "?"
	}
	if sign == '(' {
		return ""
	}
	names := make([]string, len(variables))
	for i, v := range variables {
		names[i] = v.name
	}
	return "; the variables are " + strings.Join(names, ", ")
}

// symbol is an operator or function as it is written.
func symbol(name string) string {
	if s, _ := operators.FindReverse(name); s != "" {
		return s
	}
	switch name {
	case operators.Index, operators.OptIndex:
		return "[]"
	case operators.Conditional:
		return "?:"
	}
	return name
}

func syntaxHint(input string) string {
	switch strings.TrimSpace(input) {
	case "=", "is":
		return "; did you mean ==?"
	case "and", "&":
		return "; did you mean &&?"
	case "or", "|":
		return "; did you mean ||?"
	case "“", "”", "‘", "’":
		return "; texts stand in straight quotes"
	}
	if quote := input[:1]; strings.Contains("\"'", quote) && !strings.HasSuffix(input[1:], quote) {
		return "; the text has no end, or holds a backslash that is not doubled"
	}
	return ""
}
