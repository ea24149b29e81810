package condition_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
)

// Whatever is configured is refused with errors that say where, or can be
// evaluated: at once, without a word of the visitor, and for the largest usual
// visitor without running into the limit of cost.
func FuzzCondition(f *testing.F) {
	for _, expression := range []string{
		`visitorType == "Contractor" && company.lowerAscii() != "bexley rigging"`,
		`time >= "20:00" || time < "06:00" || weekday in ["Saturday"] || date == "2026-12-25"`,
		`answers[?"x"].orValue("") == "yes" || "x" in answers && answers["x"] == "yes" || has(answers.x)`,
		`answers.exists(l, answers[l].matches("(?i)forklift|crane"))`,
		`answers.map(l, l + company).filter(l, l != "")`,
		`company.matches("(a?){900}b") || company.matches("(") || company.matches(host)`,
		`company.split("").join(company).replace("a", "bb").substring(3, 7).indexOf("b") > 2`,
		`{company: 1}["x"] / (size(company) - 5) % 3 == int(company) || [1, 2][size(host)] > 1`,
		`optional.of(company).optMap(c, c.upperAscii()).value().trim().reverse().charAt(3) != "x"`,
		"company == \"x\n || 'é' and \"\\d\" = `x` & “y” ? : }",
		"company.matches(\"\"\"(\n\"\"\")",
		`google.protobuf.Value{string_value: company} == dyn(answers) || format now`,
	} {
		f.Add(expression)
	}
	large := crowded(64, 512)
	large.Pass.Company = strings.Repeat("a", 512)
	f.Fuzz(func(t *testing.T, expression string) {
		start := time.Now()
		c, err := condition.Compile(expression)
		if err != nil {
			checkProblems(t, expression, err)
			return
		}
		if _, err := c.Holds(marked("")); err != nil && strings.Contains(err.Error(), mark) && !strings.Contains(expression, mark) {
			t.Errorf("an error quotes the visitor: %v", err)
		}
		if _, err := c.Holds(large); err != nil && strings.Contains(err.Error(), "costs more") {
			t.Errorf("was let in, and is too costly for a usual visitor: %v", err)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// checkProblems: each is in a line of the expression and says something.
func checkProblems(t *testing.T, expression string, err error) {
	t.Helper()
	var problems condition.Problems
	if !errors.As(err, &problems) || len(problems) == 0 {
		t.Fatalf("no problems: %v", err)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
	for _, f := range problems {
		if f.Line < 1 || f.Line > strings.Count(expression, "\n")+1 || f.Column < 1 || f.What == "" {
			t.Errorf("no problem of this expression: %+v", f)
		}
	}
}
