package condition

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
)

// check finds what is right in CEL and wrong in a condition, and collects the
// regular expressions.
func check(checked *ast.AST) (programs, Faults) {
	c := checker{checked: checked, programs: programs{}}
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(c.visit))
	slices.SortStableFunc(c.faults, Fault.compare)
	return c.programs, c.faults
}

type checker struct {
	checked  *ast.AST
	programs programs
	faults   Faults
}

func (c *checker) visit(e ast.Expr) {
	switch e.Kind() {
	case ast.StructKind:
		// Some of CEL's built-in messages hold values of any type.
		c.add(e, "a message has no place in a condition")
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
			c.add(e, `weekdays have no order; name them, as in weekday in ["Saturday", "Sunday"]`)
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
		c.add(e, "a regular expression must be a text in quotes")
		return
	}
	size, err := types.RegexProgramSize(pattern)
	if err != nil {
		c.add(e, "is not a regular expression of RE2: %v", err)
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
		c.add(value, "%q is not a %s, which is the %s", text, v.name, strings.ReplaceAll(v.meaning, "`", ""))
	}
}

func (c *checker) add(e ast.Expr, format string, args ...any) {
	c.faults = append(c.faults, at(c.checked.SourceInfo().GetStartLocation(e.ID()), fmt.Sprintf(format, args...)))
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
