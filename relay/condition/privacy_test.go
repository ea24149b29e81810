package condition_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/visit"
)

// mark is in everything that a marked visitor brings.
const mark = "Zmark"

func marked(suffix string) condition.Visitor {
	text := mark + suffix
	return condition.Visitor{
		Pass: visit.Pass{
			Person:  visit.Person{FirstName: text, LastName: text, Email: text, Mobile: text, PhotoURL: text},
			Company: text, VisitorType: text,
			Host:        &visit.Host{FirstName: text, LastName: text, Group: text},
			FormAnswers: []visit.FormAnswer{{Label: text, Value: text}, {Label: "x", Value: text}},
		},
		Site: "hq", Integration: "lobby", Now: time.Date(2026, 11, 22, 8, 5, 0, 0, time.UTC),
	}
}

func TestErrorsHoldNothingOfAVisitor(t *testing.T) {
	for name, expression := range map[string]string{
		"a label that is looked up":       `answers[company + "x"] == ""`,
		"a label that is looked up first": `answers[?company + "y"].value() == ""`,
		"a text read as a number":         `int(company) == 1 || double(company) == 1.0 || uint(company) == 1u`,
		"a text read as true or false":    `bool(company)`,
		"bytes that are no text":          `string(bytes(company) + b"\xff") == ""`,
		"a sign beyond the end":           `company.charAt(9999) == ""`,
		"a part beyond the end":           `company.substring(9999) == ""`,
		"a place before the beginning":    `company.indexOf("", -1) == 0`,
		"a list's end":                    `company.split("")[9999] == ""`,
		"a key of a map of texts":         `{company: 1}["y"] == 1`,
		"a division":                      `1 / (size(company) - size(company)) == 1`,
		"a number too large":              `9223372036854775807 + size(company) == 1`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compile(t, expression).Holds(marked(""))
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), mark) {
				t.Error(err)
			}
		})
	}
	for name, expression := range map[string]string{
		"a long text":   `company == "" && firstName == "" && host == ""`,
		"a long answer": `answers["x"] == ""`,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := compile(t, expression).Holds(marked(strings.Repeat("a", 600)))
			if err == nil || strings.Contains(err.Error(), mark) {
				t.Error(err)
			}
		})
	}
}
