package condition_test

import (
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/relay/condition"
)

func BenchmarkHolds(b *testing.B) {
	usual := ada(b)
	large := crowded(64, 512)
	large.Pass.Company = strings.Repeat("a", 512)
	for _, c := range []struct {
		name, expression string
		visitor          condition.Visitor
	}{
		{"type_and_company", `visitorType == "Contractor" && company != "Acme"`, usual},
		{"any_case", `company.lowerAscii() == "bexley rigging"`, usual},
		{"night", `time >= "20:00" || time < "06:00"`, usual},
		{"answer", `"Inducted?" in answers && answers["Inducted?"] == "yes"`, usual},
		{"pattern", `company.matches("(?i)^(acme|bexley) ")`, usual},
		{"any_answer", `answers.exists(l, answers[l].matches("(?i)forklift|crane"))`, usual},
		// About as much as the limits permit.
		{"worst_pattern", `company.matches("([ab]?[ac]?){300}b")`, large},
		{"worst_loop", `answers.all(l, ` + strings.Repeat(`(l <= "b") && `, 140) + `true)`, large},
		{"worst_visitor", `answers.all(l, [size(l)` + strings.Repeat(",1", 900) + `].size() > 0)`, crowded(256, 120)},
	} {
		b.Run(c.name, func(b *testing.B) {
			condition := compile(b, c.expression)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := condition.Holds(c.visitor); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for b.Loop() {
		compile(b, `visitorType == "Contractor" && company.lowerAscii() != "bexley rigging"`)
	}
}
