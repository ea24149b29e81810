package condition

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// check finds what is right in CEL and wrong in a condition, and collects the
// regular expressions.
func check(checked *ast.AST) (programs, Problems) {
	c := checker{checked: checked, programs: programs{}}
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(c.visit))
	slices.SortStableFunc(c.problems, Problem.compare)
	return c.programs, c.problems
}

type checker struct {
	checked  *ast.AST
	programs programs
	problems Problems
}

func (c *checker) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.StructKind:
		// Some of CEL's built-in messages hold values of any type.
		c.add(e, "messages are not supported in a condition")
	case ast.CallKind:
		c.call(e)
	}
}

func (c *checker) call(e ast.Expr) {
	call := e.AsCall()
	args := call.Args()
	switch call.FunctionName() {
	case overloads.Matches:
		c.pattern(args[len(args)-1])
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		if slices.ContainsFunc(args, isNamed("weekday")) {
			c.add(e, `weekdays have no order; list them, as in weekday in ["Saturday", "Sunday"]`)
			return
		}
		c.compared(args[0], args[1])
	case operators.Equals, operators.NotEquals:
		c.noMap(e, args[0])
		c.compared(args[0], args[1])
	case operators.In:
		c.noMap(e, args[0])
		if args[1].Kind() == ast.ListKind {
			c.compared(args[0], args[1].AsList().Elements()...)
		}
	}
}

// noMap checks what is compared: comparing maps takes ten times what CEL thinks.
func (c *checker) noMap(e, compared ast.Expr) {
	if holdsMap(c.checked.GetType(compared.ID())) {
		c.add(e, "maps cannot be compared; compare what they hold")
	}
}

func holdsMap(t *types.Type) bool {
	return t.Kind() == types.MapKind || slices.ContainsFunc(t.Parameters(), holdsMap)
}

// pattern checks a regular expression. One that is put together for each visitor
// could be a visitor's.
func (c *checker) pattern(e ast.Expr) {
	pattern, ok := literal(e)
	if !ok {
		c.add(e, "a regular expression must be a string literal")
		return
	}
	size, err := types.RegexProgramSize(pattern)
	if err != nil {
		c.add(e, "invalid regular expression of RE2: %v", err)
	}
	c.programs[pattern] = size
}

// compared checks the texts that a variable of a fixed form is compared with: one
// that is none of its values would make the condition silently false.
func (c *checker) compared(one ast.Expr, others ...ast.Expr) {
	for _, other := range others {
		for _, v := range variables {
			if v.form == nil {
				continue
			}
			c.form(v, one, other)
			c.form(v, other, one)
		}
	}
}

func (c *checker) form(v variable, name, value ast.Expr) {
	if text, ok := literal(value); ok && isNamed(v.name)(name) && !v.form(text) {
		c.add(value, "%s must be the %s, not %q", v.name, strings.ReplaceAll(v.meaning, "`", ""), text)
	}
}

func (c *checker) add(e ast.Expr, format string, args ...any) {
	c.problems = append(c.problems, problemAt(c.checked.SourceInfo().GetStartLocation(e.ID()), fmt.Sprintf(format, args...)))
}

func isNamed(name string) func(ast.Expr) bool {
	return func(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }
}

// literal is the text that an expression consists of, if it is one.
func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// What an evaluation takes is bounded by what it may read, because a call cannot be
// stopped midway; by an estimate of its cost at the start, for a form of the usual
// size; and by its cost at run time, for a visitor who brings more.
//
// A unit of cost took at most about 100 ns on two shared cores of 2026. Loops cannot
// be nested: a long list within two of them would cost CEL nothing and take long.
const (
	maxExpression = 2048   // characters
	maxText       = 512    // bytes
	maxAnswers    = 256    // answers of a visitor
	usualAnswers  = 64     // answers for which the cost is estimated
	maxCost       = 50_000 // units of CEL
)

// tooMuch means that there is more than an expression may read.
type tooMuch string

func (e tooMuch) Error() string { return string(e) }

// bounded is a text for an expression to read: an error if it is too long.
func bounded(what, text string) ref.Val {
	if len(text) > maxText {
		return types.WrapErr(tooMuch(fmt.Sprintf("%s is longer than %d bytes", what, maxText)))
	}
	return types.String(text)
}

// programs are the regular expressions of a condition: the number of instructions
// that each compiles to, by its pattern. CEL prices them by the length of the
// pattern, and a few characters such as "(a?){900}" can stand for a long program.
type programs map[string]int

// checkCost finds an expression that may cost too much.
func (p programs) checkCost(env *cel.Env, parsed *cel.Ast) Problems {
	estimate, err := env.EstimateCost(parsed, p)
	if err != nil {
		return problem("the cost cannot be estimated: %v", err)
	}
	if estimate.Max > maxCost {
		return problem("the expression may cost %d, at most %d are allowed; regular expressions and loops cost most", estimate.Max, maxCost)
	}
	return nil
}

// EstimateSize implements [cost.Estimator]: how much there can be of a variable.
func (p programs) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := node.Path()
	if len(path) == 0 {
		return nil
	}
	size := cost.RangedSizeEstimate(0, maxText)
	if len(path) == 1 && path[0] == "answers" {
		size = cost.RangedSizeEstimate(0, usualAnswers)
	}
	return &size
}

// EstimateCallCost implements [cost.Estimator].
func (p programs) EstimateCallCost(function, _ string, target *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	if function != overloads.Matches {
		return nil
	}
	if target != nil {
		args = []cost.AstNode{*target, args[0]}
	}
	pattern, _ := literal(args[1].Expr())
	length := cost.EstimateSize(p, args[0])
	return cost.NewCallEstimate(cost.RangedCostEstimate(0, p.price(length.Max, pattern)), nil)
}

// CallCost implements [cost.ActualCostEstimator].
func (p programs) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	if function != overloads.Matches {
		return nil
	}
	text, _ := args[0].(types.String)
	pattern, _ := args[1].(types.String)
	price := p.price(uint64(len(text)), string(pattern))
	return &price
}

// price is what it costs at most to match a text of a length. RE2 looks at no
// character more than once for each instruction.
func (p programs) price(length uint64, pattern string) uint64 {
	return cost.SafeAdd(1, cost.SafeMultiply(cost.SafeAdd(length, 1), uint64(p[pattern]))/20)
}
