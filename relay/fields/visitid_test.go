package fields

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
)

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
		{"a bare id, where there are two of the person", nil, `{"data":{"id":"1","visitor":{"id":"2"},"person":{"id":"1"}}}`, ""},
		{"a declared id, where there are two of the person", nil, `{"data":{"visitId":"1","visitor":{"id":"2"},"person":{"id":"3"}}}`, "1"},
		{"a variable that was not replaced", nil, `{"data":{"visitId":"{{ visit.id }}"}}`, ""},
		{"another one", nil, `{"data":{"visitId":"%VISIT_ID%"}}`, ""},
		{"a third one", nil, `{"data":{"visitId":"{visitId}"}}`, ""},
		{"a fourth one", nil, `{"data":{"visitId":"${id}"}}`, ""},
		{"a UUID in braces", nil, `{"data":{"visitId":"{6F9619FF-8B86-D011-B42D-00CF4FC964FF}"}}`, "{6F9619FF-8B86-D011-B42D-00CF4FC964FF}"},
		{"an id of the person", nil, `{"data":{"visitor":{"id":"1"},"personId":"2"}}`, ""},
		{"the bare id is the person's", map[Field][]string{PersonID: {"/data/id"}}, `{"data":{"id":"1"}}`, ""},
		{"a list in which the person's is", map[Field][]string{PersonID: {"/data/*"}}, `{"data":{"id":"1"}}`, ""},
		{"another is configured", map[Field][]string{Visit: {"/data/signIn"}}, `{"data":{"id":"1"}}`, ""},
		{"none is wanted", map[Field][]string{Visit: {}}, `{"data":{"visitId":"1","id":"2"}}`, ""},
		{"nothing is said", map[Field][]string{Visit: nil}, `{"data":{"visitId":"1","id":"2"}}`, "1"},
		{"by another way to the person's", map[Field][]string{PersonID: {"/payload/data/id"}}, `{"payload":{"event":"x","data":{"id":"1"}}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := read(t, compile(t, Spec{Places: c.places}), c.body).VisitID; got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestVisitID_IsNotLookedForWhereAPersonsIs(t *testing.T) {
	for _, c := range []struct {
		places map[Field][]string
		want   string
	}{
		{map[Field][]string{Visit: {"/data/visitor/id"}}, "the id of the person is looked for"},
		{map[Field][]string{Visit: {"/data/Visitor_ID"}}, "the id of the person is looked for"},
		{map[Field][]string{Visit: {"/data/*/id"}}, "the id of the person is looked for"},
		{map[Field][]string{Visit: {"/payload/data/guest/id"}}, "the id of the person is looked for"},
		{map[Field][]string{Visit: {"/m/data/*"}, Wrapper: {"/m"}}, "the id of the person is looked for"},
		{map[Field][]string{Visit: {"/data/host/id"}}, "the id of the host may be"},
		{map[Field][]string{Visit: {"/data/hostId"}}, "the id of the host may be"},
		{map[Field][]string{Visit: {"/data/a"}, PersonID: {"/data/a"}}, "is a place of person.id, too"},
		{map[Field][]string{Visit: {"/data/visitor/visitId", "/data/pass/id", "/visitor/id"}}, ""},
	} {
		_, problems := Compile(Spec{Places: c.places})
		if (len(problems) > 0) != (c.want != "") || len(problems) > 0 && (problems[0].Path != "fields.visit[0]" || !strings.Contains(problems[0].What, c.want)) {
			t.Errorf("%v: %v, want %q", c.places, problems, c.want)
		}
	}
}

// What a visitor types may be JSON.
func TestVisitID_IsNotReadFromATextBelowAny(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{Visit: {"/data/*/ref"}, PersonID: {"/data/*/own"}, ExternalID: {"/data/*/ext"}, Wrapper: {"/Records/*/body"}}})
	b := read(t, f, `{"event":"e","data":{"firstName":"{\"ref\":\"another's\",\"own\":\"x\",\"ext\":\"y\"}","pass":{"ref":"v-1"}}}`)
	if b.VisitID != "v-1" || b.Pass.Person.ID != "" || b.ExternalID != "" {
		t.Errorf("%q %q %q", b.VisitID, b.Pass.Person.ID, b.ExternalID)
	}
	if b := read(t, f, `{"Records":[{"body":"{\"event\":\"e\",\"data\":{\"pass\":{\"ref\":\"v-1\"}}}"}]}`); b.VisitID != "v-1" {
		t.Errorf("in a wrapper that is a text: %q", b.VisitID)
	}
}
