package fields

import (
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestRead_AnswersHaveManyShapes(t *testing.T) {
	spec := func(places ...string) Spec { return Spec{Places: map[Field][]string{Answers: places}} }
	labels := spec("/a")
	labels.Labels, labels.Values = []string{"question/text", "q"}, []string{"given"}
	both, twofold := spec("/a"), spec("/a")
	both.Labels, both.Values = []string{"question"}, []string{"response"}
	twofold.Labels, twofold.Values = []string{"q"}, []string{"q"}
	for _, c := range []struct {
		name string
		spec Spec
		a    string
		want string
	}{
		{"objects", spec("/a"), `[{"label":"L","value":"V"},{"title":"M","answer":7}]`, "L=V M=7"},
		{"objects by configured keys", labels, `[{"q":"L","given":"V"},{"question":{"text":"M"},"given":[1]}]`, "L=V M=[1]"},
		{"pairs", spec("/a"), `[["L","V"],["M",null],["N",true]]`, "L=V M= N=true"},
		{"a map", spec("/a"), `{"L":"V","M":7,"N":null,"O":[1]}`, "L=V M=7 N= O=[1]"},
		{"a map of objects", spec("/a"), `{"x":{"label":"L","value":"V"},"M":{"value":7},"N":{"y":1}}`, `L=V M=7 N={"y":1}`},
		{"numbered keys", spec("/a"), `{"question_1":"L","answer_1":"V","answer_2":7,"question_2":"M","question_3":"N","answer_03":"W","Other":"x"}`, "L=V M=7 question_3=N answer_03=W Other=x"},
		{"numbered keys twice", spec("/a"), `{"Question 1":"L","answer1":"V","question-1":"M","value2":"x","Title 2":"N"}`, "Question 1=L answer1=V question-1=M N=x"},
		{"configured numbered keys", labels, `{"q1":"L","given1":"V","question2":"M"}`, "L=V question2=M"},
		{"numbered keys that are configured and built in", both, `{"question1":"L","response1":"V"}`, "L=V"},
		{"numbered keys of two meanings", twofold, `{"q1":"L","answer1":"V"}`, "q1=L answer1=V"},
		{"a text of a list", spec("/a"), `"[[\"L\",\"V\"]]"`, "L=V"},
		{"several lists", spec("/a/*/items"), `[{"items":[["L","V"]]},{},{"items":{"M":"W"}}]`, "L=V M=W"},
		{"one list before another", spec("/a/first", "/a/second"), `{"second":[["M","W"]],"first":[["L","V"]]}`, "L=V"},
		{"a list without an answer", spec("/a/first", "/a/second"), `{"second":[["M","W"]],"first":[7,{},["x"],["x","y","z"]]}`, "M=W unread"},
		{"no list", spec("/a"), `7`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := read(t, compile(t, c.spec), `{"event":"x","a":`+c.a+`}`)
			var got []string
			for _, a := range b.Pass.FormAnswers {
				got = append(got, a.Label+"="+a.Value)
			}
			if b.UnreadAnswers && len(got) > 0 && c.want[len(c.want)-1] == 'd' {
				got = append(got, "unread")
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// Short answers without keys are longer in a message than in the body. What is too much
// is left to the source.
func TestRead_AnswersDoNotOutgrowTheMessage(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{Answers: {"/a"}}, Labels: []string{"q"}, Values: []string{"v"}})
	for name, element := range map[string]string{
		"pairs": `["x",1],`, "objects": `{"q":"x"},`, "control characters": `["\u0001\u0001",1],`, "quotes": `{"v":["\""]},`, "line separators": "{\"v\":\"\u2028\"},",
	} {
		body := `{"event":"x","a":[` + strings.TrimSuffix(strings.Repeat(element, 5000), ",") + `]}`
		b := read(t, f, body)
		data, err := visit.MarshalEvent(&visit.Event{Pass: b.Pass, Source: []byte(body)})
		if err != nil || len(data) > 3*len(body)+4096 {
			t.Errorf("%s: %d bytes became %d, %v", name, len(body), len(data), err)
		}
		if len(b.Pass.FormAnswers) == 0 || (len(b.Pass.FormAnswers) < 5000) != b.UnreadAnswers {
			t.Errorf("%s: %d answers, unread: %v", name, len(b.Pass.FormAnswers), b.UnreadAnswers)
		}
	}
}
