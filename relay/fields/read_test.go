package fields

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func compile(t testing.TB, s Spec) *Fields {
	t.Helper()
	f, problems := Compile(s)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return f
}

func read(t testing.TB, f *Fields, body string) *Body {
	t.Helper()
	b, reason := f.Read([]byte(body), 32)
	if reason != "" {
		t.Fatalf("%s: %s", reason, body)
	}
	return b
}

func companyAt(places ...string) Spec { return Spec{Places: map[Field][]string{Company: places}} }

func TestRead_FindsAPlace(t *testing.T) {
	for _, c := range []struct{ name, place, body, want string }{
		{"a key", "/data/org", `{"data":{"org":"A"}}`, "A"},
		{"spelled otherwise", "/data/orgName", `{"DATA":{"Org_Name":"A"}}`, "A"},
		{"in other letters", "/data/FIRMENÜBERSICHT", `{"data":{"firmen-übersicht":"A"}}`, "A"},
		{"with an accent as a character of its own", "/data/soci\u00e9t\u00e9", "{\"data\":{\"Socie\u0301te\u0301\":\"A\"}}", "A"},
		{"the other way around", "/data/socie\u0301te\u0301", "{\"data\":{\"soci\u00e9t\u00e9\":\"A\"}}", "A"},
		{"a key of separators", "/data/-", `{"data":{"-":"A"}}`, "A"},
		{"escapes in the pointer", "/data/a~1b~0c", `{"data":{"a/b~c":"A"}}`, "A"},
		{"an element", "/list/1", `{"list":["A","B","C"]}`, "B"},
		{"a number as a key", "/list/1", `{"list":{"1":"A"}}`, "A"},
		{"the first element that has it", "/list/*/org", `{"list":[{},{"org":" "},{"org":"A"},{"org":"B"}]}`, "A"},
		{"the first value that has it", "/list/*/org", `{"list":{"x":{"org":7},"y":{"org":"A"},"z":{"org":"B"}}}`, "A"},
		{"the element of a name", "/list/name=Firm name/value", `{"list":[{"name":"x","value":"X"},{"value":"A","name":"firm_name"}]}`, "A"},
		{"the pair of a name", "/list/0=firm/1", `{"list":[["x","X"],["Firm","A"]]}`, "A"},
		{"a name as a key", "/list/name=Firm/value", `{"list":{"name=firm":{"value":"A"}}}`, "A"},
		{"an element of a name that is no text", "/list/name=7/value", `{"list":[{"name":7,"value":"A"},"name=7",7,null]}`, ""},
		{"through a text that is JSON", "/box/org", `{"box":"{\"org\":\"A\"}"}`, "A"},
		{"through a text that is a list", "/box/0", `{"box":"[\"A\"]"}`, "A"},
		{"through a text that is none", "/box/org", `{"box":"{org: A}"}`, ""},
		{"a number", "/org", `{"org":7}`, ""},
		{"a boolean", "/org", `{"org":true}`, ""},
		{"an object", "/org", `{"org":{"name":"A"}}`, ""},
		{"a key that is there twice", "/org", `{"org":"B","org":"B"}`, "B"},
		{"a root that is a list", "/0/org", `[{"org":"A"}]`, "A"},
		{"a key and any beside it", "/x/*", `{"x":{"a":null,"b":"B"}}`, "B"},
		{"joined", "{/a} & {/b}", `{"b":"B","a":"A"}`, "A & B"},
		{"joined, with a part that is missing", "{/a} & {/b}", `{"a":"A","b":""}`, ""},
		{"joined with a boolean", "{/a}", `{"a":true}`, ""},
		{"joined of numbers", "{/a}/{/b/*}", `{"a":1,"b":[null,2,3]}`, "1/2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := read(t, compile(t, companyAt(c.place)), c.body)
			if b.Pass.Company != c.want || (b.Origin(Company) == Configured) != (c.want != "") {
				t.Errorf("%q at a place that is %v, want %q", b.Pass.Company, b.Origin(Company), c.want)
			}
			if c.want != "" && !b.IsEvent {
				t.Error("a body with a configured field is no event")
			}
		})
	}
}

func TestRead_TriesPlacesInOrder(t *testing.T) {
	f := compile(t, companyAt("/second", "{/a} {/b}", "/data/x/*"))
	for _, c := range []struct{ body, want string }{
		{`{"data":{"company":"D","x":["C"]},"a":"A","b":"B","second":"S"}`, "S"},
		{`{"second":"S","b":"B","data":{"x":["C"],"company":"D"},"a":"A"}`, "S"},
		{`{"second":"","b":"B","data":{"x":["C"],"company":"D"},"a":"A"}`, "A B"},
		{`{"b":"B","data":{"x":["C"],"company":"D"}}`, "C"},
		{`{"data":{"visitor":{"company":"D"},"company":"D"}}`, "D"},
		{`{"data":{"visitor":{"organisation":"E"}}}`, "E"},
	} {
		if got := read(t, f, c.body).Pass.Company; got != c.want {
			t.Errorf("%s: %q, want %q", c.body, got, c.want)
		}
	}
}

// What may be the customer's own name, or anybody's, is not guessed.
func TestRead_DoesNotGuessTheCompany(t *testing.T) {
	for _, body := range []string{
		`{"event":"x","company":"Own"}`, `{"event":"x","data":{"organisation":"Own"}}`, `{"event":"x","data":{"organization":{"name":"Own"}}}`,
		`{"event":"x","data":{"site":{"company":"Own"},"host":{"company":"Own"}}}`,
	} {
		if b := read(t, Default, body); b.Pass.Company != "" {
			t.Errorf("%s: %q", body, b.Pass.Company)
		}
	}
}

// Another company elsewhere makes it unsure, as with every guess.
func TestRead_TakesACompanyThatIsAnObject(t *testing.T) {
	for body, want := range map[string]string{
		`{"event":"x","data":{"company":{"name":"A"}}}`:                            "A",
		`{"event":"x","data":{"company":{"name":"A"},"visitor":{"employer":"B"}}}`: "",
		`{"event":"x","data":{"company":{"name":7}}}`:                              "",
	} {
		if b := read(t, Default, body); b.Pass.Company != want {
			t.Errorf("%s: %q, want %q", body, b.Pass.Company, want)
		}
	}
}

// Codes are often numbers. No name is one: it must not be what lets somebody in.
func TestRead_TakesNumbersForCodesAtConfiguredPlaces(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{Event: {"/e"}, Cause: {"/c"}, LastName: {"/n"}}, Causes: map[string]visit.Cause{"0": visit.CauseExpired}})
	b := read(t, f, `{"e":3,"c":0,"n":7,"data":{"firstName":4,"company":5}}`)
	if b.Event != "3" || b.Cause != visit.CauseExpired || b.Pass.Person != (visit.Person{}) || b.Pass.Company != "" {
		t.Errorf("read as %+v", b)
	}
	if b := read(t, Default, `{"event":3,"data":{"status":2}}`); b.Event != "" || b.Origin(Cause) != Missing {
		t.Errorf("read without configuration as %+v", b)
	}
}

func TestRead_MakesALastNameOfAWholeName(t *testing.T) {
	for _, c := range []struct{ body, want string }{
		{`{"data":{"fullName":"Ada Lovelace"}}`, " Ada Lovelace"},
		{`{"data":{"visitor":{"name":"Ada Lovelace"}}}`, " Ada Lovelace"},
		{`{"data":{"fullName":"Ada Lovelace","firstName":"Ada"}}`, "Ada "},
		{`{"data":{"name":"Contractor pass"}}`, " "},
	} {
		b := read(t, Default, c.body)
		if got := b.Pass.Person.FirstName + " " + b.Pass.Person.LastName; got != c.want || b.Meets(Person) != (c.want != " ") {
			t.Errorf("%s: %q, a person: %v", c.body, got, b.Meets(Person))
		}
	}
	b := read(t, Default, `{"data":{"hostName":"Rui Tan"}}`)
	if b.Pass.Host == nil || b.Pass.Host.LastName != "Rui Tan" {
		t.Errorf("%+v", b.Pass.Host)
	}
}

func TestRead_LooksInsideAWrapper(t *testing.T) {
	inside := Spec{Places: map[Field][]string{Wrapper: {"/message/content"}, Company: {"/org", "/meta/org"}}}
	for _, c := range []struct {
		name string
		spec Spec
		body string
		want string
	}{
		{"built in", Spec{}, `{"payload":{"event":"in","data":{"company":"A"}}}`, "in A"},
		{"configured", inside, `{"message":{"content":{"event":"in","org":"A"}}}`, "in A"},
		{"a text", inside, `{"message":{"content":"{\"event\":\"in\",\"org\":\"A\"}"}}`, "in A"},
		{"beside a pass", inside, `{"data":{},"event":"out","message":{"content":{"event":"in","org":"A"}}}`, "in A"},
		{"built in, beside a pass", Spec{}, `{"data":{"company":"B"},"event":"out","payload":{"event":"in","data":{"company":"A"}}}`, "out B"},
		{"with the event outside", inside, `{"event":"out","message":{"content":{"org":"A"}}}`, "out A"},
		{"with a field outside", inside, `{"meta":{"org":"B"},"message":{"content":{"event":"in"}}}`, "in B"},
		{"with a guess outside", inside, `{"data":{"company":"B"},"message":{"content":{"event":"in"}}}`, "in "},
		{"that holds no event", inside, `{"event":"out","message":{"content":{"x":1}}}`, "out "},
		{"a configured place through it", companyAt("/payload/data/org"), `{"payload":{"event":"in","data":{"org":"A"}}}`, "in A"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := read(t, compile(t, c.spec), c.body)
			if got := b.Event + " " + b.Pass.Company; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestRead_CauseFollowsWords(t *testing.T) {
	f := compile(t, Spec{Causes: map[string]visit.Cause{"AUTO": visit.CauseExpired, "checked out": visit.CauseUnknown}})
	for word, want := range map[string]visit.Cause{
		"Auto-": visit.CauseExpired, "Checked-Out": visit.CauseUnknown, "signed_out": visit.CauseCheckedOut, "Pass expired": visit.CauseExpired,
		"GEOFENCE_EXIT": visit.CauseLeftArea, "left area": visit.CauseLeftArea, "left": visit.CauseUnknown, "": visit.CauseUnknown,
	} {
		if got := read(t, f, `{"data":{"status":"`+word+`"}}`).Cause; got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}

func TestEventOfBeginning_ReadsWhatCame(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{Event: {"/meta/kind"}, Wrapper: {"/message/content"}}})
	for beginning, want := range map[string]string{
		`{"meta":{"kind":"in"},"data":{"photo":"`:                         "in",
		`{"message":{"content":{"meta":{"kind":"in"},"data":{"photo":"ab`: "in",
		`{"event":"in","x":[1,`:                                           "in",
		`{"payload":{"event":"in","data":{"x`:                             "in",
		`{"data":{"photo":"`:                                              "",
		strings.Repeat("[", 40):                                           "",
	} {
		if got := f.EventOfBeginning([]byte(beginning), 32); got != want {
			t.Errorf("%s: %q, want %q", beginning, got, want)
		}
	}
}

// Places multiply what a body costs, and do not make it grow faster than the body.
func TestRead_TakesTimeInProportionToTheBodyWhateverIsConfigured(t *testing.T) {
	var places []string
	for i := range MaxPlaces {
		places = append(places, "/data"+strings.Repeat("/*", i+1)+"/x")
	}
	f := compile(t, Spec{Places: map[Field][]string{Company: places, FirstName: places[:4], Email: {"/data/a=b/c", "/data/*/a=b/c"}, Answers: {"/data"}, Mobile: {"{/data/0} {/data/*}"}}})
	for name, element := range map[string]string{"numbers": `1,`, "objects": `{"a":"b"},`, "lists": `[[[["x"]]]],`, "texts": `"{\"a\":\"b\"}",`} {
		took := func(length int) time.Duration {
			body := []byte(`{"data":[` + strings.TrimSuffix(strings.Repeat(element, length/len(element)), ",") + `]}`)
			fastest := time.Hour
			for range 5 {
				start := time.Now()
				f.Read(body, 32)
				fastest = min(fastest, time.Since(start))
			}
			return fastest
		}
		// Sixteen times the length: quadratic would be 256 times the time, each time.
		var short, long time.Duration
		for range 5 {
			if short, long = took(16<<10), took(256<<10); long <= 64*short+10*time.Millisecond {
				break
			}
		}
		if long > 64*short+10*time.Millisecond {
			t.Errorf("%s: 16 KB take %s, 256 KB %s", name, short, long)
		}
	}
}
