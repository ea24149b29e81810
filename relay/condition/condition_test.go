package condition_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/condition"
	"github.com/sine-relay/sine-relay/visit"
)

// ada arrives at a site in Adelaide on a Sunday morning, which is a Saturday
// evening in UTC.
func ada(t testing.TB) condition.Visitor {
	t.Helper()
	adelaide, err := time.LoadLocation("Australia/Adelaide")
	if err != nil {
		t.Fatal(err)
	}
	return condition.Visitor{
		Pass: visit.Pass{
			Person:      visit.Person{FirstName: "Ada", LastName: "Lovelace", Email: "ada@example.com"},
			Company:     "Bexley Rigging",
			Host:        &visit.Host{FirstName: "Dominic", LastName: "Frost", Group: "Planning"},
			VisitorType: "Contractor",
			FormAnswers: []visit.FormAnswer{
				{Label: "Inducted?", Value: "no"}, {Label: "Tools", Value: "Forklift, ladder"}, {Label: "Inducted?", Value: "yes"},
			},
		},
		Site: "hq", Integration: "lobby",
		Now: time.Date(2026, 11, 21, 21, 35, 0, 0, time.UTC).In(adelaide),
	}
}

func compile(t testing.TB, expression string) *condition.Condition {
	t.Helper()
	c, err := condition.Compile(expression)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return c
}

func TestHolds_Conditions(t *testing.T) {
	for _, c := range []struct {
		name, expression string
		want             bool
	}{
		{"another type of visitor", `visitorType == "Employee"`, false},
		{"a type and a company", `visitorType == "Contractor" && company != "Bexley Rigging"`, false},
		{"a company in any case", `company.lowerAscii() == "bexley rigging"`, true},
		{"one of several companies", `company in ["Acme", "Bexley Rigging"]`, true},
		{"none of several companies", `!(company in ["Acme", "Contoso"])`, true},
		{"part of a company", `company.startsWith("Bexley") && company.endsWith("Rigging") && company.contains("y R")`, true},
		{"a regular expression", `company.matches("(?i)^(acme|bexley) ")`, true},
		{"a regular expression that does not match", `matches(company, "^Rigging")`, false},
		{"a first name", `firstName == "Ada"`, true},
		{"a last name", `lastName == "Lovelace"`, true},
		{"the domain of an email address", `email.endsWith("@example.com")`, true},
		{"a host", `host == "Dominic Frost"`, true},
		{"a group of hosts", `hostGroup == "Planning"`, true},
		{"a site and an integration", `site == "hq" && integration == "lobby"`, true},
		{"an answer, the last with its label", `answers["Inducted?"] == "yes"`, true},
		{"an answer that is there", `"Inducted?" in answers && answers["Inducted?"] == "yes"`, true},
		{"an answer that is not there", `"Escorted?" in answers && answers["Escorted?"] == "yes"`, false},
		{"an optional answer", `answers[?"Inducted?"].orValue("") == "yes"`, true},
		{"an optional answer that is not there", `answers[?"Escorted?"].orValue("no") == "no"`, true},
		{"an answer by its field", `has(answers.Tools) && answers.Tools.contains("ladder")`, true},
		{"any answer", `answers.exists(label, answers[label].matches("(?i)forklift|crane"))`, true},
		{"every answer", `answers.all(label, answers[label] != "")`, true},
		{"a count of answers", `answers.filter(label, label.endsWith("?")).size() == 1`, true},
		{"the time of day at the site", `time == "08:05"`, true},
		{"a night shift", `time >= "20:00" || time < "06:00"`, false},
		{"an hour with minutes", `time >= "07:30"`, true},
		{"the day at the site", `weekday == "Sunday"`, true},
		{"a weekend", `weekday in ["Saturday", "Sunday"]`, true},
		{"the date at the site", `date == "2026-11-22"`, true},
		{"a range of dates", `date >= "2026-11-22" && date < "2027-01-01"`, true},
		{"a choice", `site == "hq" ? company == "Acme" : true`, false},
		{"an error that does not matter", `answers["Escorted?"] == "yes" || company != ""`, true},
		{"several lines and a comment", "site == \"hq\"\n  // on Sundays\n  && weekday == \"Sunday\"\n", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := compile(t, c.expression).Holds(ada(t))
			if err != nil || got != c.want {
				t.Errorf("%s: %v, %v", c.expression, got, err)
			}
		})
	}
}

// A field that an account does not send must not keep a decider from being asked.
func TestHolds_WhatSineDoesNotSendIsAnError(t *testing.T) {
	blank := condition.Visitor{Pass: visit.Pass{
		Person: visit.Person{FirstName: " ", LastName: "\t", Email: "\u00a0"}, Company: " ", VisitorType: "\n",
		Host: &visit.Host{FirstName: " ", LastName: " ", Group: " "},
	}}
	for _, name := range []string{"visitorType", "company", "firstName", "lastName", "email", "host", "hostGroup"} {
		for what, v := range map[string]condition.Visitor{"nothing": {}, "blanks": blank} {
			if got, err := compile(t, name+` == "Contractor"`).Holds(v); !got || err == nil || err.Error() != "1:1: Sine sent no "+name {
				t.Errorf("%s, of which Sine sent %s: %v, %v", name, what, got, err)
			}
		}
	}
	for _, name := range []string{"site", "integration"} {
		if got, err := compile(t, name+` == ""`).Holds(condition.Visitor{}); !got || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	groupOnly := condition.Visitor{Pass: visit.Pass{Host: &visit.Host{Group: "Planning"}}}
	if got, err := compile(t, `hostGroup != "Planning" && host == "Ada Lovelace"`).Holds(groupOnly); got || err != nil {
		t.Errorf("a group without a name: %v, %v", got, err)
	}
}

// Whoever skips a decider because of an answer that never came lets people in
// unchecked.
func TestHolds_AnswersThatDidNotComeAreAnError(t *testing.T) {
	yes := visit.FormAnswer{Label: "Inducted?", Value: "yes"}
	conditions := []string{
		`"Escorted?" in answers && answers["Escorted?"] == "yes"`, `answers[?"Escorted?"].orValue("no") == "yes"`,
		`answers.exists(label, label == "Escorted?")`, `answers.size() > 5`, `has(answers.Tools)`, `answers["Escorted?"] == "yes"`,
	}
	for _, c := range []struct {
		name    string
		visitor condition.Visitor
		want    string
	}{
		{"none", condition.Visitor{}, "Sine sent no answers"},
		{"an empty list", condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{}}}, "Sine sent no answers"},
		{"one without a label", condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{yes, {Value: "yes"}}}}, "Sine sent an answer without a label"},
		{"one with a blank label", condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{{Label: " ", Value: "yes"}, yes}}}, "Sine sent an answer without a label"},
		{"some of another shape", condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{yes}}, UnreadAnswers: true}, "Sine sent answers that are not of the known shape"},
	} {
		for _, expression := range conditions {
			got, err := compile(t, expression).Holds(c.visitor)
			if !got || err == nil || !strings.HasSuffix(err.Error(), c.want) {
				t.Errorf("%s: %s: %v, %v", c.name, expression, got, err)
			}
		}
	}
	others := condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{yes}}}
	for _, expression := range conditions[:5] {
		if got, err := compile(t, expression).Holds(others); got || err != nil {
			t.Errorf("where others came: %s: %v, %v", expression, got, err)
		}
	}
	blank := condition.Visitor{Pass: visit.Pass{FormAnswers: []visit.FormAnswer{{Label: "Escorted?", Value: " "}}}}
	if got, err := compile(t, conditions[0]).Holds(blank); !got || err == nil || !strings.HasSuffix(err.Error(), "the answer is blank") {
		t.Errorf("a blank answer: %v, %v", got, err)
	}
	if got, err := compile(t, `company == "Acme" || "Escorted?" in answers`).Holds(condition.Visitor{Pass: visit.Pass{Company: "Acme"}}); !got || err != nil {
		t.Errorf("answers that do not matter: %v, %v", got, err)
	}
}

func TestHolds_WhatCannotBeEvaluatedHolds(t *testing.T) {
	for _, c := range []struct{ name, expression, want string }{
		{"an answer that is not there", `site == "hq" && answers["Escorted?"] == "yes"`, `1:24: no such key; test for it first, with "key" in answers`},
		{"a division by zero", "company != \"\" &&\n  12 / size(answers) > 3 / (size(site) - 2)", "2:26: cannot be evaluated for this visitor"},
		{"a text that is no number", `int(company) == 3`, "1:4: cannot be evaluated for this visitor"},
		{"a character beyond the end", `company.charAt(30) == "x"`, "1:15: cannot be evaluated for this visitor"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := compile(t, c.expression).Holds(ada(t))
			if !got || err == nil || err.Error() != c.want {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
}
