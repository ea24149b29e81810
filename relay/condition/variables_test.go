package condition_test

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
)

func TestDocs_NameEveryVariable(t *testing.T) {
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (string|map\\(string, string\\)) \\| \\S.* \\|$").FindAllStringSubmatch(condition.Docs(), -1)
	if len(rows) != 13 {
		t.Errorf("%d variables in\n%s", len(rows), condition.Docs())
	}
	for _, row := range rows {
		name, kind := row[1], row[2]
		expression := name + ` != "?" || true`
		switch {
		case name == "time" || name == "weekday" || name == "date":
			expression = name + `.size() > 0`
		case kind != "string":
			expression = name + `["?"] != "" || true`
		}
		if got, err := compile(t, expression).Holds(condition.Visitor{}); !got || err != nil {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
}

// Every day and hour of a leap year can be written as it is seen.
func TestHolds_EveryTimeCanBeNamed(t *testing.T) {
	for now := time.Date(2028, 1, 1, 0, 59, 59, 0, time.UTC); now.Year() == 2028; now = now.Add(25 * time.Hour) {
		expression := fmt.Sprintf(`time == "%s" && weekday == "%s" && date == "%s"`, now.Format("15:04"), now.Weekday(), now.Format(time.DateOnly))
		if got, err := compile(t, expression).Holds(condition.Visitor{Now: now}); !got || err != nil {
			t.Errorf("%s: %v, %v", expression, got, err)
		}
	}
}
