package condition_test

import (
	"fmt"
	"strings"
	"testing"

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

func TestWhatIsReadIsBounded(t *testing.T) {
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
