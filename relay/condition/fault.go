package condition

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
)

// Fault is one thing that is wrong with an expression.
type Fault struct {
	// Line and Column say where; both count from 1, columns in characters.
	Line, Column int
	// What is wrong and, where that can be told, what would be right.
	What string
}

// String is one line.
func (f Fault) String() string {
	return fmt.Sprintf("%d:%d: %s", f.Line, f.Column, strings.ReplaceAll(f.What, "\n", `\n`))
}

func (f Fault) compare(g Fault) int {
	return cmp.Or(cmp.Compare(f.Line, g.Line), cmp.Compare(f.Column, g.Column))
}

// Faults is everything that is wrong with an expression, in its order. Of its
// syntax it is the first fault: what follows one is mostly its echo.
type Faults []Fault

// Error is one line.
func (f Faults) Error() string {
	texts := make([]string, len(f))
	for i, fault := range f {
		texts[i] = fault.String()
	}
	return strings.Join(texts, "; ")
}

// whole is a fault of the expression as a whole.
func whole(format string, args ...any) Faults {
	return Faults{{1, 1, fmt.Sprintf(format, args...)}}
}

// at is a fault at a place that CEL tells. What is not in any place is put at
// the beginning.
func at(l common.Location, what string) Fault {
	return Fault{max(l.Line(), 1), max(l.Column()+1, 1), what}
}

// told makes faults of what CEL found in an expression.
func told(expression string, issues []*cel.Error) Faults {
	var faults Faults
	syntax := false
	slices.SortStableFunc(issues, func(a, b *cel.Error) int { return at(a.Location, "").compare(at(b.Location, "")) })
	for _, issue := range issues {
		what, isSyntax := strings.CutPrefix(issue.Message, "Syntax error: ")
		if isSyntax && syntax {
			continue
		}
		syntax = syntax || isSyntax
		faults = append(faults, at(issue.Location, reword(what, signAt(expression, issue.Location))))
	}
	return faults
}

// signAt is what stands at a place, or 0.
func signAt(expression string, l common.Location) rune {
	lines := strings.Split(expression, "\n")
	if l.Line() < 1 || l.Line() > len(lines) {
		return 0
	}
	line := []rune(lines[l.Line()-1])
	if l.Column() < 0 || l.Column() >= len(line) {
		return 0
	}
	return line[l.Column()]
}
