package condition_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/visit"
)

// crowded is a visitor with so many answers, each and its label of a length.
func crowded(answers, length int) condition.Visitor {
	var v condition.Visitor
	for i := range answers {
		v.Pass.FormAnswers = append(v.Pass.FormAnswers, visit.FormAnswer{
			Label: fmt.Sprintf("%0*d", length, i), Value: strings.Repeat("a", length),
		})
	}
	return v
}

func TestHolds_WhatIsReadIsBounded(t *testing.T) {
	text := strings.Repeat("a", 512)
	for _, c := range []struct {
		name, expression string
		visitor          condition.Visitor
		want             string
	}{
		{"a text that just fits", `company == ""`, condition.Visitor{Pass: visit.Pass{Company: text}}, "false"},
		{"a text that is too long", `site == "" && company == ""`, condition.Visitor{Pass: visit.Pass{Company: text + "a"}}, "1:15: company is longer than 512 bytes"},
		{"a long text that does not matter", `site == "x" && company == ""`, condition.Visitor{Pass: visit.Pass{Company: text + "a"}}, "false"},
		{"a long answer that is read", `answers["x"] == ""`, condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{{Label: "x", Value: text + "a"}}}}, "1:1: an answer is longer than 512 bytes"},
		{"a long answer that is read if present", `answers[?"x"].orValue("") == "y"`, condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{{Label: "x", Value: text + "a"}}}}, "1:1: an answer is longer than 512 bytes"},
		{"a long answer beside the one that is read", `answers["x"] == "y"`, condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{{Label: "x", Value: "n"}, {Label: "z", Value: text + "a"}}}}, "false"},
		{"a long label", `"x" in answers`, condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{{Label: "x"}, {Label: text + "a"}}}}, "1:8: the label of an answer is longer than 512 bytes"},
		{"as many answers as are read", `answers["0255"] == ""`, crowded(256, 4), "false"},
		{"more answers than are read", `answers["0255"] == ""`, crowded(257, 4), "1:8: there are more than 256 answers"},
		{"a usual form with the longest answers", `answers.exists(a, answers[a].lowerAscii().contains("x"))`, crowded(64, 512), "false"},
		{"a form that costs too much to go through", `answers.exists(a, answers[a].lowerAscii().contains("x"))`, crowded(256, 512), "costs more than 50000 for this visitor"},
		{"a pattern that stands for a larger one", `answers.exists(a, answers[a].matches("(a?){5}b"))`, crowded(128, 512), "costs more than 50000 for this visitor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			holds, err := compile(t, c.expression).Holds(c.visitor)
			got := fmt.Sprint(holds)
			if err != nil && holds {
				got = err.Error()
			}
			if got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

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

func TestHolds_ErrorsQuoteNothingOfAVisitor(t *testing.T) {
	for name, expression := range map[string]string{
		"a label that is looked up":       `answers[company + "x"] == ""`,
		"a label that is looked up first": `answers[?company + "y"].value() == ""`,
		"a text read as a number":         `int(company) == 1 || double(company) == 1.0 || uint(company) == 1u`,
		"a text read as true or false":    `bool(company)`,
		"bytes that are no text":          `string(bytes(company) + b"\xff") == ""`,
		"a character beyond the end":      `company.charAt(9999) == ""`,
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

// Errors, too: CEL marks the place in them.
func TestHolds_IsSafeForConcurrentUse(t *testing.T) {
	conditions := map[string]string{
		`answers.exists(label, answers[label].matches("(?i)forklift")) && time == "08:05"`: "",
		`answers["Escorted?"] == "yes"`:                 `1:8: no such key; test for it first, with "key" in answers`,
		`1 / size(visitorType) == 1 / (size(site) - 2)`: "1:28: cannot be evaluated for this visitor",
		`int(company) == 3`:                             "1:4: cannot be evaluated for this visitor",
	}
	visitor := ada(t)
	var all sync.WaitGroup
	for expression, want := range conditions {
		c := compile(t, expression)
		for range 8 {
			all.Go(func() { holdsOften(t, c, visitor, want) })
		}
	}
	all.Wait()
}

func holdsOften(t *testing.T, c *condition.Condition, v condition.Visitor, want string) {
	for range 200 {
		got, err := c.Holds(v)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if !got || text != want {
			t.Errorf("%v, %v, want %s", got, err, want)
			return
		}
	}
}
