package fields

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestCompile_SaysEverythingThatIsWrong(t *testing.T) {
	_, problems := Compile(Spec{
		Places: map[Field][]string{"lastname": {"/a"}, Company: {"", "a"}, Visit: {"/x"}, PersonID: {"/X"}, Answers: {"{/a}"}, Date: {"{/a}{/b}{/c}{/d}{/e}", "{/a}}"}, Mobile: {strings.Repeat("/a", 17), "/" + strings.Repeat("a", 129), "/\xff"}},
		Labels: []string{"~x"}, DateFormats: slices.Repeat([]string{"%Y"}, 9), Causes: map[string]visit.Cause{"-": visit.CauseExpired},
	})
	text := fmt.Sprint(problems)
	for _, want := range []string{
		"fields.lastname: unknown field; did you mean person.lastName?", "fields.company[0]: must be a JSON pointer", "fields.company[1]: must be a JSON pointer",
		"fields.visit[0]: is a place of person.id, too", "fields.answers[0]: must be a JSON pointer", "fields.date[0]: joins 5 places", `fields.date[1]: has a "}"`,
		"fields.person.mobile[0]: leads 17 levels deep", "fields.person.mobile[1]: has a key of 129 bytes", "fields.person.mobile[2]: must be UTF-8",
		"labels.label[0]: has an invalid escape", "dates.formats: has 9 formats", "causeAliases.-: contains neither",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

func TestCompile_RefusesPlacesInTheSyntaxOfOtherTools(t *testing.T) {
	for place, want := range map[string]string{
		"/data.forms.0.x":        `did you mean "/data/forms/0/x"? For a dot within a key, write _`,
		"/data/forms.0.x":        `did you mean "/data/forms/0/x"?`,
		"/data/forms.*":          `did you mean "/data/forms/*"?`,
		"/data/forms[0]/x":       `did you mean "/data/forms/0/x"?`,
		"/data/forms[0].x":       `did you mean "/data/forms/0/x"?`,
		"/data/forms[*]/x":       `did you mean "/data/forms/*/x"?`,
		"/data['first name']/x":  `did you mean "/data/first`,
		"/$/data/x":              `did you mean "/data/x"?`,
		"/$.data.x":              `did you mean "/data/x"?`,
		"/#/data/x":              `did you mean "/data/x"?`,
		"/data/{x}":              `did you mean "/data/x"?`,
		"/data/{{x}}":            `did you mean "/data/x"?`,
		"$.data.x":               `begin with "/", as in "/data/x";`,
		"$.data.forms[*].x":      `as in "/data/forms/*/x";`,
		"$['data']['x']":         `as in "/data/x";`,
		".data.forms[].x":        `as in "/data/forms/*/x";`,
		"data.x":                 `as in "/data/x";`,
		"data/x/":                `as in "/data/x";`,
		" /data/x":               `as in "/data/x";`,
		"#/data/x":               `as in "/data/x";`,
		"{{data.x}}":             `as in "/data/x";`,
		"/data/x/":               `has a "/" without a key behind it; did you mean "/data/x"?`,
		"//data/x":               `did you mean "/data/x"?`,
		"/data//x":               `did you mean "/data/x"?`,
		"/":                      "has no key",
		"//":                     "has no key",
		"/data/{/x}":             `has the text "/data/" before "{", which would be in the value; a place has all of its pointer in braces, or no braces, as in "/data/x"`,
		"{/data}/first":          `has the text "/first" behind "}"`,
		"{/data/a} {/data}/name": `has the text "/name" behind "}"`,
	} {
		if _, problems := Compile(companyAt(place)); len(problems) != 1 || !strings.Contains(problems[0].What, want) {
			t.Errorf("%s: %v, want %s", place, problems, want)
		}
	}
	for _, place := range []string{"/data_visitor_name", "/visitor.name", "/data/Company (if any.)", "/data/items[]/x", "/data/v.one", "/data/Phone [private]", "{/data/a}/{/data/b}", "{/data/a} c/o {/data/b}"} {
		if _, problems := Compile(companyAt(place)); len(problems) != 0 {
			t.Errorf("%s: %v", place, problems)
		}
	}
}

func TestFields_DoubtsWhatIsProbablyASlip(t *testing.T) {
	for _, c := range []struct {
		name   string
		places map[Field][]string
		want   string
	}{
		{"a place of another field", map[Field][]string{Company: {"/data/org", "/data/host/name"}}, "[fields.company[1]: is a built-in place of host.name: one value would be both; is it a slip?]"},
		{"spelled otherwise", map[Field][]string{FirstName: {"/data/last_name"}}, "[fields.person.firstName[0]: is a built-in place of person.lastName: one value would be both; is it a slip?]"},
		{"the same place twice", map[Field][]string{Company: {"/data/org", "/data/x", "/Data/Org"}}, "[fields.company[2]: is the same place as fields.company[0]; remove one of them]"},
		{"the same template twice", map[Field][]string{Company: {"{/a} {/b}", "{/a} {/b}"}}, "[fields.company[1]: is the same place as fields.company[0]; remove one of them]"},
		{"one place of two fields", map[Field][]string{Company: {"/data/org"}, VisitorType: {"/data/org"}}, "[fields.visitorType[0]: is the same place as fields.company[0]: one value would be both; name the place of each]"},
		{"built-in places of its own", map[Field][]string{Company: {"/data/company"}, PersonName: {"/data/visitor/name"}}, "[]"},
		{"a whole name where the last is", map[Field][]string{LastName: {"/data/visitor/name"}, PersonName: {"/data/visitor/name"}}, "[]"},
		{"a template of other fields", map[Field][]string{PersonName: {"{/data/firstName} {/data/lastName}"}}, "[]"},
		{"the id that is the person's", map[Field][]string{PersonID: {"/data/id"}}, "[]"},
		{"any element", map[Field][]string{Company: {"/data/*"}}, "[]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fmt.Sprint(compile(t, Spec{Places: c.places}).Doubts(Spec{Places: c.places})); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestCompile_RefusesFormatsThatContradictEachOther(t *testing.T) {
	for want, formats := range map[string][]string{
		"dates.formats[1]: reads the same text as %d/%m/%Y %H:%M": {"%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"},
		"dates.formats[0]: has %m twice":                          {"%d/%m/%Y %m %H:%M"},
	} {
		if _, problems := Compile(Spec{DateFormats: formats}); len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%q: %v", formats, problems)
		}
	}
}

// An empty list undoes that of the base.
func TestSpec_AnEmptyListIsOneOfItsOwn(t *testing.T) {
	base := Spec{Labels: []string{"a"}, Values: []string{"b"}, DateFormats: []string{"%d/%m/%Y %H"}}
	for _, s := range []Spec{{Labels: []string{}}, {Values: []string{}}, {DateFormats: []string{}}} {
		merged := s.Over(base)
		if got := len(merged.Labels) + len(merged.Values) + len(merged.DateFormats); got != 2 {
			t.Errorf("%+v over the base is %+v", s, merged)
		}
	}
}

func TestExpectation_IsMetWhereConfigured(t *testing.T) {
	f := compile(t, companyAt("/data/org"))
	for _, c := range []struct {
		expects, body, missing string
	}{
		{"company", `{"data":{"org":"A"}}`, ""},
		{"company", `{"data":{"company":"A"}}`, "[company]"},
		{"person", `{"data":{"visitor":{"familyName":"L"}}}`, ""},
		{"person", `{"data":{"fullName":"A L"}}`, ""},
		{"person", `{"data":{"email":"a@example.com"}}`, "[person.firstName person.lastName]"},
		{"person|person.email", `{"data":{"email":"a@example.com"}}`, ""},
		{"company|host", `{"data":{"host":{"department":"D"}}}`, ""},
		{"answers", `{"data":{"answers":[7]}}`, "[answers]"},
		{"visit", `{"data":{"id":0}}`, "[visit]"},
		{"date", `{"date":"2026-11-18 21:42"}`, ""},
		{"date", `{"date":"4/3/2026 21:42"}`, "[date]"},
		{"date|visit", `{"date":"soon","data":{"id":7}}`, ""},
	} {
		e, err := ParseExpectation(c.expects)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, f, c.body).Lacks([]Expectation{e, e}); strings.Trim(fmt.Sprint(got), "[]") != strings.Trim(c.missing, "[]") {
			t.Errorf("%s of %s: %v, want %s", c.expects, c.body, got, c.missing)
		}
	}
	f = compile(t, Spec{Places: map[Field][]string{PersonName: {"/data/who"}}})
	b := read(t, f, `{"data":{"who":"Ada Lovelace"}}`)
	if len(b.Lacks([]Expectation{Person})) > 0 || b.Origin(LastName) != Configured {
		t.Errorf("a configured whole name is %v", b.Origin(LastName))
	}
}

func TestExpectation_SaysWhatItCannotHave(t *testing.T) {
	for text, want := range map[string]string{
		"": `has unknown field "";`, "company|": `has unknown field "";`, "Company": `has unknown field "Company"; did you mean company?`,
		"lastName": "did you mean person.lastName?", "person.name": "cannot have person.name, which becomes the last name: person expects a name",
		"host.name": "which becomes the last name: host expects a name", "event": "cannot have event;", "externalId": "cannot have externalId;", "cause": "cannot have cause;",
	} {
		if _, err := ParseExpectation(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}
