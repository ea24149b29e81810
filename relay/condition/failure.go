package condition

import (
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// failure says where an evaluation failed and why, in words of its own: CEL's may
// quote the visitor.
func (c *Condition) failure(err error) error {
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
	return errors.New(at(c.source.GetStartLocation(failed.NodeID()), what).String())
}
