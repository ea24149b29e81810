// Package condition holds the conditions under which a decider is asked: expressions
// in CEL, the language that Kubernetes users know, about a visitor and the time
// at the site.
//
//	visitorType == "Contractor" && company.lowerAscii() != "bexley rigging"
//	time >= "20:00" || time < "06:00"
//	weekday in ["Saturday", "Sunday"] || date == "2026-12-25"
//	"Inducted?" in answers && answers["Inducted?"] == "yes"
//	answers[?"Inducted?"].orValue("") == "yes"
//	answers.exists(label, answers[label].matches("(?i)forklift|crane"))
//
// The variables are those of [Docs]; the functions are CEL's own but for
// timestamps, durations and dyn, those of its strings library but for format,
// and its optional values.
//
// [Compile] finds before the first visitor comes what can be found: errors of
// syntax, unknown names, wrong types, a time of day that is none, and what would
// cost too much. [Condition.Holds] takes microseconds, and about 10 ms at most
// whatever a visitor sends. No error quotes anything of a visitor.
//
// What follows from a condition is left to the caller.
package condition

import (
	"strings"
	"time"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"

	"github.com/sine-relay/sine-relay/visit"
)

// Condition is a valid expression. It is safe for concurrent use.
type Condition struct {
	program cel.Program
	source  *ast.SourceInfo
}

// Visitor is whom a condition is about.
type Visitor struct {
	Pass visit.Pass
	// UnreadAnswers is set when Sine sent answers that Pass does not hold.
	UnreadAnswers     bool
	Integration, Site string
	// Now is the present time. Its Location is the site's: it decides what
	// time of day, weekday and date a condition sees.
	Now time.Time
}

// Compile returns the condition that an expression of at most 2048 characters
// states. Its error is [Problems].
func Compile(expression string) (*Condition, error) {
	if strings.TrimSpace(expression) == "" {
		return nil, problem("the expression is empty; leave it out for a condition that always holds")
	}
	if n := utf8.RuneCountInString(expression); n > maxExpression {
		return nil, problem("the expression has %d characters, at most %d are allowed", n, maxExpression)
	}
	env := environment()
	parsed, issues := env.Compile(expression)
	if found := issues.Errors(); len(found) > 0 {
		return nil, problemsOf(expression, found)
	}
	if t := parsed.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, problem("the expression returns %s; it must return bool, as company == \"Acme\" does", t)
	}
	checked := parsed.NativeRep()
	programs, problems := check(checked)
	if len(problems) > 0 {
		return nil, problems
	}
	if problems := programs.checkCost(env, parsed); len(problems) > 0 {
		return nil, problems
	}
	program, err := env.Program(parsed, cel.EvalOptions(cel.OptOptimize), cel.CostTracking(programs), cel.CostLimit(maxCost))
	if err != nil {
		return nil, problem("the expression cannot be evaluated: %v", err)
	}
	return &Condition{program, checked.SourceInfo()}, nil
}

// Holds reports whether the condition is true of a visitor. With an error it
// reports true: a decider that may have to be asked is asked.
//
// The error says where in the expression the evaluation failed and why, and contains
// nothing of the visitor. It comes when the result depends on something that Sine
// did not send, be it one answer or that there are answers; on a text of more than
// 512 bytes, on one of more than 256 answers, or on an operation without a result
// such as a division by zero; and when a visitor has so many and long answers that
// going through them costs too much.
func (c *Condition) Holds(v Visitor) (bool, error) {
	value, _, err := c.program.Eval(newActivation(&v))
	if err != nil {
		return true, c.evaluationError(err)
	}
	return value.Value() == true, nil
}
