package fields

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
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
		{"a key of separators", "/data/-", `{"data":{"-":"A"}}`, "A"},
		{"an empty key", "/data/", `{"data":{"":"A","x":"B"}}`, "A"},
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
		{"an object", "/org", `{"org":{"name":"A"}}`, ""},
		{"the last of a key that is there twice", "/org", `{"org":"A","org":"B"}`, "B"},
		{"a root that is a list", "/0/org", `[{"org":"A"}]`, "A"},
		{"a key and any beside it", "/x/*", `{"x":{"a":null,"b":"B"}}`, "B"},
		{"joined", "{/a} & {/b}", `{"b":"B","a":"A"}`, "A & B"},
		{"joined, with a part that is missing", "{/a} & {/b}", `{"a":"A","b":""}`, ""},
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
		{`{"data":{"visitor":{"company":"E"},"company":"D"}}`, "D"},
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
		`{"event":"x","data":{"company":{"name":"Own"}}}`, `{"event":"x","data":{"site":{"company":"Own"},"host":{"company":"Own"}}}`,
	} {
		if b := read(t, Default, body); b.Pass.Company != "" {
			t.Errorf("%s: %q", body, b.Pass.Company)
		}
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
		if got := b.Pass.Person.FirstName + " " + b.Pass.Person.LastName; got != c.want || b.HasPerson() != (c.want != " ") {
			t.Errorf("%s: %q, a person: %v", c.body, got, b.HasPerson())
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

func TestRead_AnswersHaveManyShapes(t *testing.T) {
	spec := func(places ...string) Spec { return Spec{Places: map[Field][]string{Answers: places}} }
	labels := spec("/a")
	labels.Labels, labels.Values = []string{"question/text", "q"}, []string{"given"}
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

// The key of a visit is never the id of a person, and different ids are different keys:
// whatever is configured, in whatever order a body has its keys.
func TestVisitID_NoConfigurationMergesVisits(t *testing.T) {
	random := rand.New(rand.NewPCG(15, 5))
	places := []string{"/data/id", "/data/visitId", "/data/pass/id", "/data/visitor/id", "/data/person/id", "/data/x/*/id", "/id", "/payload/data/id", "/data/visitor/*", "/list/kind=person/id", "/list/0/id"}
	pick := func() (some []string) {
		for range 1 + random.IntN(3) {
			some = append(some, places[random.IntN(len(places))])
		}
		return some
	}
	refused := 0
	for range 3000 {
		visitPlaces, personPlaces := pick(), pick()
		f, problems := Compile(Spec{Places: map[Field][]string{Visit: visitPlaces, PersonID: personPlaces}})
		if len(problems) > 0 {
			refused++
			continue
		}
		made := func(visitID, personID string) *Body {
			return read(t, f, bodyWith(random, visitPlaces, visitID, personPlaces, personID))
		}
		a, b := made("v-1", "p-1"), made("v-2", "p-1")
		for _, one := range []*Body{a, b} {
			if one.VisitID == "p-1" || one.VisitID != "" && one.VisitID == one.Pass.Person.ID {
				t.Fatalf("visit %v, person %v: the visit has the person's id", visitPlaces, personPlaces)
			}
		}
		if a.VisitID != "" && a.VisitID == b.VisitID {
			t.Fatalf("visit %v, person %v: two visits have the key %q", visitPlaces, personPlaces, a.VisitID)
		}
	}
	if refused == 0 {
		t.Error("no configuration with one place for both was refused")
	}
}

// bodyWith has an id at each of the places.
func bodyWith(random *rand.Rand, visitPlaces []string, visitID string, personPlaces []string, personID string) string {
	document := map[string]any{"event": "signin_after", "data": map[string]any{"firstName": "Ada"}}
	put := func(place, id string) {
		at := document
		keys := strings.Split(place[1:], "/")
		for i, key := range keys {
			key = strings.NewReplacer("*", "any", "kind=person", "0").Replace(key)
			if i == len(keys)-1 {
				if at[key] == nil {
					at[key] = id
				}
				return
			}
			below, ok := at[key].(map[string]any)
			if !ok {
				below = map[string]any{}
				at[key] = below
			}
			at = below
		}
	}
	for _, place := range personPlaces {
		put(place, personID)
	}
	for _, place := range visitPlaces {
		put(place, visitID)
	}
	if random.IntN(2) == 0 {
		put("/data/visitor/id", personID)
	}
	body, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return string(body)
}

func TestVisitID_BuiltInPlacesGiveWayToConfiguration(t *testing.T) {
	for _, c := range []struct {
		name   string
		places map[Field][]string
		body   string
		want   string
	}{
		{"a bare id", nil, `{"data":{"id":"1"}}`, "1"},
		{"a bare id that is the person's", nil, `{"data":{"id":"1","visitorId":"1"}}`, ""},
		{"a declared id that equals the person's", nil, `{"data":{"visitId":"1","visitorId":"1"}}`, "1"},
		{"an id of the person", nil, `{"data":{"visitor":{"id":"1"},"personId":"2"}}`, ""},
		{"the bare id is the person's", map[Field][]string{PersonID: {"/data/id"}}, `{"data":{"id":"1"}}`, ""},
		{"a list in which the person's is", map[Field][]string{PersonID: {"/data/*"}}, `{"data":{"id":"1"}}`, ""},
		{"another is configured", map[Field][]string{Visit: {"/data/signIn"}}, `{"data":{"id":"1"}}`, ""},
		{"by another way to the person's", map[Field][]string{PersonID: {"/payload/data/id"}}, `{"payload":{"event":"x","data":{"id":"1"}}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := read(t, compile(t, Spec{Places: c.places}), c.body).VisitID; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestCompile_SaysEverythingThatIsWrong(t *testing.T) {
	_, problems := Compile(Spec{
		Places: map[Field][]string{"lastname": {"/a"}, Company: {"", "a"}, Visit: {"/x"}, PersonID: {"/X"}, Answers: {"{/a}"}, Date: {"{/a}{/b}{/c}{/d}{/e}", "{/a}}"}, Mobile: {"/" + strings.Repeat("a/", 16), "/" + strings.Repeat("a", 129), "/\xff"}},
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

func TestExplain_SaysWhereEverythingWas(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{Company: {"/data/orgs/*/name"}, PersonName: {"{/data/first} {/data/last}"}, Wrapper: {"/message"}}})
	report, reason := f.Explain([]byte(`{"id":1,"message":"{\"event\":\"x\",\"data\":{\"orgs\":[{},{\"Name\":\"A\",\"tax\":null}],\"first\":\"F\",\"last\":\"L\",\"a/b\":[]}}"}`), 32)
	if reason != "" {
		t.Fatal(reason)
	}
	var found []string
	for _, one := range report.Found {
		found = append(found, fmt.Sprintf("%s at %s by %s: %s", one.Field, strings.Join(one.At, "+"), one.Place, one.Value))
	}
	want := []string{
		"event at /message/event by /event: x", "wrapper at /message by /message: ", "person.lastName at /message/data/first+/message/data/last by {/data/first} {/data/last}: F L",
		"person.name at /message/data/first+/message/data/last by {/data/first} {/data/last}: F L", "company at /message/data/orgs/1/Name by /data/orgs/*/name: A",
	}
	if !slices.Equal(found, want) {
		t.Errorf("%q\nwant %q", found, want)
	}
	if got := fmt.Sprint(report.UnknownKeys); got != "[{/id number} {/message/data/orgs/1/tax null} {/message/data/a~1b list}]" {
		t.Errorf("unknown keys %s", got)
	}
}

// A sum that differs shows that there is a key that was not there before, and values make
// no difference.
func TestRead_UnknownKeysHaveASum(t *testing.T) {
	sum := func(body string) uint64 { return read(t, Default, body).Unknown }
	if sum(`{"event":"x","data":{"a":1,"b":2}}`) != sum(`{"data":{"b":[{"c":7}],"a":"x","firstName":"Ada"}}`) {
		t.Error("values or known fields make a difference")
	}
	for _, other := range []string{`{"data":{"a":1}}`, `{"data":{"a":1,"c":2}}`, `{"data":{"a":1},"b":2}`} {
		if sum(other) == sum(`{"data":{"a":1,"b":2}}`) {
			t.Errorf("%s has the same sum", other)
		}
	}
}

// Explain finds what Read finds, in whichever body.
func TestExplain_FindsWhatReadFinds(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{Company: {"/*/*/company", "/data/x=y/z"}, Answers: {"/data/*"}, Visit: {"/a/0"}}})
	for _, body := range samples(t) {
		for _, f := range []*Fields{f, Default} {
			b, _ := f.Read(body, 32)
			r, _ := f.Explain(body, 32)
			b.Unknown = 0 // Explain names them instead
			if !reflect.DeepEqual(r.Body, b) {
				t.Errorf("%s is read as %+v\nwant %+v", body, r.Pass, b.Pass)
			}
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
	} {
		e, err := ParseExpectation(c.expects)
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, f, c.body).Lacks([]Expectation{e, e}); strings.Trim(fmt.Sprint(got), "[]") != strings.Trim(c.missing, "[]") {
			t.Errorf("%s of %s: %v, want %s", c.expects, c.body, got, c.missing)
		}
	}
	for _, text := range []string{"", "person.name", "company|", "Company", "event"} {
		if _, err := ParseExpectation(text); err == nil {
			t.Errorf("%q is accepted", text)
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

// Whatever is configured and sent, reading ends, and finds what explaining finds.
func FuzzPlace(f *testing.F) {
	f.Add("/data/*/a=b/c", "label", `{"data":[{"a":"b","c":"A"}],"event":"x"}`)
	f.Add("{/data/0} {/*/1}", "/a/0", `{"data":"[1,[2]]","payload":{"data":{}}}`)
	f.Add("/~01/=/==/", "~", `[[],{"":{"=":1}}]`)
	f.Fuzz(func(t *testing.T, place, label, body string) {
		spec := Spec{Labels: []string{label}, Places: map[Field][]string{}}
		of := []Field{Company, Event, PersonName}
		if !strings.Contains(place, "{") {
			of = append(of, Answers, Visit, Wrapper)
		}
		for _, field := range of {
			spec.Places[field] = []string{place}
		}
		fields, problems := Compile(spec)
		if len(problems) > 0 {
			return
		}
		b, reason := fields.Read([]byte(body), 32)
		r, same := fields.Explain([]byte(body), 32)
		if reason != same {
			t.Fatalf("read: %q, explained: %q", reason, same)
		}
		if reason != "" {
			return
		}
		b.Unknown = 0
		if !reflect.DeepEqual(r.Body, b) {
			t.Fatalf("explained as %+v\nread as %+v", r.Body, b)
		}
		for _, found := range r.Found {
			if len(found.At) == 0 || found.Place == "" {
				t.Errorf("%+v was found nowhere", found)
			}
		}
		fields.EventOfBeginning([]byte(body)[:len(body)/2], 32)
	})
}
