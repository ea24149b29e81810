package condition

import (
	"fmt"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

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

// appraise finds an expression that may cost too much.
func (p programs) appraise(env *cel.Env, parsed *cel.Ast) Faults {
	estimate, err := env.EstimateCost(parsed, p)
	if err != nil {
		return whole("its cost cannot be estimated: %v", err)
	}
	if estimate.Max > maxCost {
		return whole("may cost %d, at most %d are allowed; regular expressions and loops cost most", estimate.Max, maxCost)
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
