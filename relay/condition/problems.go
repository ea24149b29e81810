package condition

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// Problem is one thing that is wrong with an expression.
type Problem struct {
	// Line and Column say where; both count from 1, columns in characters.
	Line, Column int
	// What is wrong and, where that is known, what would be right.
	What string
}

// String is one line.
func (p Problem) String() string {
	return fmt.Sprintf("%d:%d: %s", p.Line, p.Column, strings.ReplaceAll(p.What, "\n", `\n`))
}

func (p Problem) compare(q Problem) int {
	return cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column))
}

// Problems is everything that is wrong with an expression, in its order. Of errors
// of syntax it is the first alone: the others mostly follow from it.
type Problems []Problem

// Error is one line.
func (p Problems) Error() string {
	texts := make([]string, len(p))
	for i, problem := range p {
		texts[i] = problem.String()
	}
	return strings.Join(texts, "; ")
}

// problem is one of the expression as a whole.
func problem(format string, args ...any) Problems {
	return Problems{{1, 1, fmt.Sprintf(format, args...)}}
}

// problemAt is one at a location that CEL gives. What has none is put at the
// beginning.
func problemAt(l common.Location, what string) Problem {
	return Problem{max(l.Line(), 1), max(l.Column()+1, 1), what}
}

// problemsOf are those that CEL found in an expression.
func problemsOf(expression string, issues []*cel.Error) (all Problems) {
	slices.SortStableFunc(issues, func(a, b *cel.Error) int { return problemAt(a.Location, "").compare(problemAt(b.Location, "")) })
	syntax := false
	for _, issue := range issues {
		rest := textFrom(expression, issue.Location)
		what, isSyntax := strings.CutPrefix(issue.Message, "Syntax error: ")
		switch {
		case isSyntax && syntax:
			continue
		case isSyntax:
			// CEL's own message lists every token of the grammar.
			what = unexpected(rest, strings.HasPrefix(what, "token recognition error"))
			syntax = true
		case strings.HasPrefix(what, "undeclared reference") && !strings.Contains(what, "did you mean"):
			what += nameHint(rest)
		case what == "comprehension exceeds nesting limit":
			what += "; all, exists, exists_one, filter and map cannot be nested or applied to one another's results"
		}
		all = append(all, problemAt(issue.Location, what))
	}
	return all
}

// textFrom is what an expression has from a location on.
func textFrom(expression string, l common.Location) string {
	lines := strings.Split(expression, "\n")
	if l.Line() < 1 || l.Line() > len(lines) || l.Column() < 0 {
		return ""
	}
	from := []rune(lines[l.Line()-1])
	return string(append(from[min(l.Column(), len(from)):], []rune("\n"+strings.Join(lines[l.Line():], "\n"))...))
}

// nameHint says what may have been meant by an unknown variable.
func nameHint(rest string) string {
	end := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	switch name := rest[:max(end, 0)]; strings.ToLower(name) {
	case "":
		return "" // it is a function, of which the place is its bracket
	case "now", "hour", "hours", "minute", "minutes", "day":
		return `; the time at the site is time ("17:30"), weekday ("Monday") and date ("2026-12-25")`
	}
	names := make([]string, len(variables))
	for i, v := range variables {
		names[i] = v.name
	}
	return "; the variables are " + strings.Join(names, ", ")
}

// unexpected describes an error of syntax by what stands at its place.
func unexpected(rest string, noToken bool) string {
	words := strings.Fields(rest)
	if len(words) == 0 {
		return "the expression ends too early"
	}
	hint := ""
	switch first := words[0]; {
	case first == "=" || first == "is":
		hint = "; did you mean ==?"
	case first == "and" || first == "&":
		hint = "; did you mean &&?"
	case first == "or" || first == "|":
		hint = "; did you mean ||?"
	case strings.ContainsAny(first[:1], `"'`) && noToken:
		hint = `; the string has no end, or contains a backslash that is not doubled`
	case strings.IndexFunc(first, func(r rune) bool { return strings.ContainsRune("“”‘’", r) }) == 0:
		hint = "; strings need straight quotes"
	}
	return fmt.Sprintf("unexpected %q%s", words[0], hint)
}

// evaluationError says where an evaluation failed and why, in words of its own: CEL's
// may quote the visitor.
func (c *Condition) evaluationError(err error) error {
	var much tooMuch
	var missing unsent
	var stopped interpreter.EvalCancelledError
	what := "cannot be evaluated for this visitor"
	switch {
	case errors.As(err, &much):
		what = much.Error()
	case errors.As(err, &missing):
		what = missing.Error()
	case errors.As(err, &stopped):
		return fmt.Errorf("costs more than %d for this visitor", maxCost)
	case strings.HasPrefix(err.Error(), "no such key"):
		what = `no such key; test for it first, with "key" in answers`
	}
	var failed *types.Err
	if !errors.As(err, &failed) {
		return errors.New(what)
	}
	return errors.New(problemAt(c.source.GetStartLocation(failed.NodeID()), what).String())
}
