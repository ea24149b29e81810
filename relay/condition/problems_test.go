package condition_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/relay/condition"
)

const (
	theVariables = "the variables are visitorType, company, firstName, lastName, email, host, hostGroup, answers, site, integration, time, weekday, date"
	theTime      = `the time at the site is time ("17:30"), weekday ("Monday") and date ("2026-12-25")`
)

func TestCompile_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, expression, want string }{
		{"nothing", "", "1:1: the expression is empty; leave it out for a condition that always holds"},
		{"only white space", " \n", "1:1: the expression is empty; leave it out for a condition that always holds"},

		{"a name in the wrong case", `site == "x" && visitortype == "y"`, `1:16: undeclared reference to 'visitortype' (did you mean 'visitorType'?)`},
		{"a name that nothing resembles", `site == "é" && badge`, `1:16: undeclared reference to 'badge'; ` + theVariables},
		{"the time as others name it", `hour >= 20`, `1:1: undeclared reference to 'hour'; ` + theTime},
		{"a timestamp", `now.getHours() >= 20`, `1:1: undeclared reference to 'now'; ` + theTime + `; 1:13: undeclared reference to 'getHours'`},
		{"a function in the wrong case", `company.lowerascii() == "x"`, `1:19: undeclared reference to 'lowerascii' (did you mean 'lowerAscii'?)`},
		{"a function that nothing resembles", `company.equals("x")`, `1:15: undeclared reference to 'equals'`},
		{"a function that was left out", `"%s".format([company]) == "x"`, `1:12: undeclared reference to 'format'`},
		{"a type that puts off the check", `dyn(company) == 1`, `1:4: undeclared reference to 'dyn'`},
		{"two names", "compny == \"x\" ||\n  emial == \"y\"", `1:1: undeclared reference to 'compny' (did you mean 'company'?); 2:3: undeclared reference to 'emial' (did you mean 'email'?)`},

		{"a text and a number", `company == 3`, "1:9: found no matching overload for '_==_' applied to '(string, int)'"},
		{"a function of a number", `company.contains(3)`, "1:17: found no matching overload for 'contains' applied to 'string.(int)'"},
		{"a label that is a number", `answers[0] == "x"`, "1:8: found no matching overload for '_[_]' applied to '(map(string, string), int)'"},
		{"a choice by a text", `company ? true : false`, "1:9: found no matching overload for '_?_:_' applied to '(string, bool, bool)'"},
		{"a text for a condition", `company && true`, "1:1: expected type 'bool' but found 'string'"},
		{"a list of several types", `company in ["x", 1]`, "1:18: expected type 'string' but found 'int'"},
		{"a field of a text", `host.name == "x"`, "1:5: type 'string' does not support field selection"},

		{"a text", `company`, `1:1: the expression returns string; it must return bool, as company == "Acme" does`},
		{"an answer", `answers["x"]`, `1:1: the expression returns string; it must return bool, as company == "Acme" does`},
		{"what has no type", `{}["x"]`, `1:1: the expression returns dyn; it must return bool, as company == "Acme" does`},

		{"the first error of syntax, in its line", "company == \"x\" &&\n  site >= &&\n host", `2:11: unexpected "&&"`},
		{"an end too early", `company ==`, "1:11: the expression ends too early"},
		{"an assignment", `company = "x"`, `1:9: unexpected "="; did you mean ==?`},
		{"three equals signs", `company === "x"`, `1:11: unexpected "="; did you mean ==?`},
		{"a word for and", `site == "x" and host == "y"`, `1:13: unexpected "and"; did you mean &&?`},
		{"a word for or", `site == "x" or host == "y"`, `1:13: unexpected "or"; did you mean ||?`},
		{"curved quotes", `company == “x”`, `1:12: unexpected "“x”"; strings need straight quotes`},
		{"a text without an end", `company == "x`, `1:12: unexpected "\"x"; the string has no end, or contains a backslash that is not doubled`},
		{"a single backslash", `company.matches("\d")`, `1:17: unexpected "\"\\d\")"; the string has no end, or contains a backslash that is not doubled`},
		{"two texts", `company in ["a" "b"]`, `1:17: unexpected "\"b\"]"`},
		{"a word of another language", `if (site == "x") { true }`, `1:1: reserved identifier: if; 1:18: unexpected "{"`},

		{"a time without its zero", `time >= "8:00"`, `1:9: time must be the time of day at the site, from "00:00" to "23:59", not "8:00"`},
		{"a time on the left", `"24:00" > time`, `1:1: time must be the time of day at the site, from "00:00" to "23:59", not "24:00"`},
		{"a short weekday", `weekday in ["Sat", "Sunday"]`, `1:13: weekday must be the day of the week at the site, from "Monday" to "Sunday", not "Sat"`},
		{"weekdays in order", `weekday < "Saturday"`, `1:9: weekdays have no order; list them, as in weekday in ["Saturday", "Sunday"]`},
		{"a date that is none", `date != "2026-02-30"`, `1:9: date must be the date at the site, as in "2026-12-25", not "2026-02-30"`},

		{"a pattern that is none", `company.matches("(")`, "1:17: invalid regular expression of RE2: error parsing regexp: missing closing ): `(`"},
		{"a pattern that only others know", `company.matches("(?=x)")`, "1:17: invalid regular expression of RE2: error parsing regexp: invalid or unsupported Perl syntax: `(?=`"},
		{"a pattern of the visitor", `answers.exists(l, company.matches(answers[l]))`, "1:42: a regular expression must be a string literal"},
		{"a message", `google.protobuf.StringValue{value: company} == "x"`, "1:28: messages are not supported in a condition"},
		{"a comparison of maps", `answers == {"x": "y"}`, "1:9: maps cannot be compared; compare what they hold"},
		{"a list of maps", `[answers] in [[answers]]`, "1:11: maps cannot be compared; compare what they hold"},
		{"what can have no result", `int("x") == 3`, "1:1: the expression cannot be evaluated: type conversion error from 'string' to 'int'"},

		{"a loop within a loop", `answers.all(a, answers.all(b, a != b))`, "1:27: comprehension exceeds nesting limit; all, exists, exists_one, filter and map cannot be nested or applied to one another's results"},
		{"a pattern that stands for a large one", `company.matches("(a?){900}b")`, "1:1: the expression may cost 92418, at most 50000 are allowed; regular expressions and loops cost most"},
		{"an expensive pattern for every answer", `answers.all(a, answers[a].matches("(.*x){20}"))`, "1:1: the expression may cost 167874, at most 50000 are allowed; regular expressions and loops cost most"},
		{"a text that grows", `company.replace("", company) == "x"`, "1:1: the expression may cost 263225, at most 50000 are allowed; regular expressions and loops cost most"},
		{"a long expression", `site in [` + strings.Repeat(`"é", `, 408) + `""]`, "1:1: the expression has 2052 characters, at most 2048 are allowed"},
		{"brackets nested deep", strings.Repeat("(", 251) + "true" + strings.Repeat(")", 251), "1:1: expression recursion limit exceeded: 250"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := condition.Compile(c.expression)
			var problems condition.Problems
			if !errors.As(err, &problems) || err.Error() != c.want {
				t.Errorf("%v\nwant %s", err, c.want)
			}
		})
	}
}
