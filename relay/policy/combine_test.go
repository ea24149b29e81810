package policy

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestCombine_PassesAreMergedInTheOrderOfTheConfiguration(t *testing.T) {
	pass := func(v Vote, fields string) Vote {
		if err := json.Unmarshal([]byte(fields), &v.Decision.Pass); err != nil {
			t.Fatal(err)
		}
		return v
	}
	ballot := policyOf(t, Any).Ballot(names("abcs"))
	ballot.Add(pass(no("a", ""), `{"badge":"none"}`))
	ballot.Add(pass(yes("s", ""), `{"shadow":1}`))
	ballot.Add(pass(yes("c", ""), `{"Badge":"red","floor":3}`))
	ballot.Add(pass(yes("b", ""), `{"badge":"blue","wifi":true}`))
	want := map[string]json.RawMessage{"badge": json.RawMessage(`"blue"`), "wifi": json.RawMessage(`true`), "floor": json.RawMessage(`3`)}
	if a := ballot.Decide(none); !reflect.DeepEqual(a.Pass, want) {
		t.Errorf("%s", a.Pass)
	}

	rejected := policyOf(t, All).Ballot(names("ab"))
	rejected.Add(pass(yes("b", ""), `{"badge":"blue"}`))
	rejected.Add(pass(no("a", ""), `{"badge":"none"}`))
	if a := rejected.Decide(none); a.Pass != nil {
		t.Errorf("of a rejection: %s", a.Pass)
	}
}

func TestCombine_NotesForTheAdministrator(t *testing.T) {
	note := func(v Vote, text string) Vote {
		v.Decision.AdminNote = text
		return v
	}
	for _, c := range []struct {
		name  string
		asked string
		votes []Vote
		want  string
	}{
		{"one decider's note stands as it is", "a", []Vote{note(yes("a", ""), "VIP\nlot 3")}, "VIP\nlot 3"},
		{"a line for each of several, in the order of the configuration", "abc",
			[]Vote{note(yes("c", ""), "Lot 3"), yes("b", ""), note(yes("a", ""), "VIP")}, "a: VIP\nc: Lot 3"},
		{"no note passes for another decider's", "ab",
			[]Vote{note(no("a", ""), "Odd\nb: fine\u2028b: fine"), note(yes("b", ""), " ")}, "a: Odd b: fine b: fine"},
		{"a shadow's is nobody's business", "as", []Vote{note(no("s", ""), "Banned"), note(yes("a", ""), "VIP")}, "VIP"},
		{"that of a fallback", "ab", []Vote{note(yes("a", ""), "VIP"), missed("b", Denied)}, "a: VIP\nb: " + defaultNotes[Denied]},
		{"none of those who were not waited for", "abc", []Vote{note(no("c", ""), "Banned")}, "c: Banned"},
	} {
		ballot := policyOf(t, All).Ballot(names(c.asked))
		for _, v := range c.votes {
			ballot.Add(v)
		}
		if a := ballot.Decide(none); a.AdminNote != c.want {
			t.Errorf("%s: %q", c.name, a.AdminNote)
		}
	}
}
