package fields

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

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

// A value that a place leads to is in a field, or it is said why not.
func TestExplain_SaysWhatIsInNoField(t *testing.T) {
	for _, c := range []struct {
		name   string
		places map[Field][]string
		body   string
		want   string
	}{
		{"another type", map[Field][]string{LastName: {"/a"}, PersonID: {"/b"}, Company: {"/c", "/d"}}, `{"a":{"x":1},"b":true,"c":[1],"d":false}`,
			"/a object person.lastName unusable, /b boolean person.id unusable, /c list company unusable, /d boolean company unusable"},
		{"a placeholder", map[Field][]string{Visit: {"/a"}, Company: {"/b"}}, `{"a":"undefined","b":0}`, "/a string visit unusable, /b number company unusable"},
		{"nothing", map[Field][]string{LastName: {"/a"}, Company: {"/b"}, Answers: {"/c"}, Visit: {"/d"}}, `{"a":null,"b":" ","c":[ ],"d":{}}`, ""},
		{"another place", map[Field][]string{Company: {"/a", "/b"}}, `{"b":"B","a":"A","data":{"company":"C"}}`, "/b string company other_place, /data/company string company other_place"},
		{"answers at another place", map[Field][]string{Answers: {"/a", "/b"}}, `{"b":{"y":"z"},"a":[["x","y"]]}`, "/b object answers other_place"},
		{"answers at several at once", map[Field][]string{Answers: {"/a/*"}}, `{"a":[[["x","y"]],[["z","y"]]]}`, ""},
		{"answers that are none", map[Field][]string{Answers: {"/a"}}, `{"a":[1,2]}`, "/a list answers unusable"},
		{"the first of any", map[Field][]string{Company: {"/a/*/b"}}, `{"a":[{"b":"A"},{"b":"B"}]}`, "/a/1/b string company other_place"},
		{"the person's id", map[Field][]string{Visit: {"/id"}, PersonID: {"/who"}}, `{"id":7,"who":"7"}`, "/id number visit same_as_person"},
		{"half a template", map[Field][]string{PersonName: {"{/a} {/b}"}}, `{"a":"A"}`, "/a string person.name half_template"},
		{"a whole template", map[Field][]string{PersonName: {"{/a} {/b}"}}, `{"a":"A","b":"B"}`, ""},
		{"outside of a wrapper", map[Field][]string{Wrapper: {"/w"}}, `{"externalId":"E","w":{"event":"x","data":{}}}`, "/externalId string externalId outside_wrapper"},
		{"an element", map[Field][]string{Wrapper: {"/0"}}, `[{"event":"x"},{"note":"y"},[]]`, "/1 object  no_place"},
		{"an element that is not selected", map[Field][]string{Company: {"/a/k=b/v"}}, `{"a":[{"k":"b","v":"A"},{"k":"c","v":"B"}]}`, "/a/1 object  no_place"},
		{"the first of a pair", map[Field][]string{Company: {"/a/0=k/1"}}, `{"a":[["k","A"]]}`, ""},
		{"an element of answers", map[Field][]string{Company: {"/a/k=b/v"}, Answers: {"/a"}}, `{"a":[{"k":"b","v":"A"},{"k":"c","value":"B"}]}`, ""},
		{"a wrapper in a wrapper", map[Field][]string{Wrapper: {"/w/w"}}, `{"w":{"w":{"event":"x"}}}`, ""},
		{"a list for an object", nil, `{"event":"x","data":[{"company":"A"}]}`, "/data list  no_place"},
		{"a text for an object", map[Field][]string{Company: {"/a/b"}}, `{"a":"b","data":"{}"}`, "/a string  no_place"},
		{"an object that is a text", map[Field][]string{Company: {"/a/b"}}, `{"a":"{\"b\":\"A\"}"}`, ""},
		{"a host that is an object", nil, `{"data":{"host":{"firstName":"A"}}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			report, reason := compile(t, Spec{Places: c.places}).Explain([]byte(c.body), 32)
			if reason != "" {
				t.Fatal(reason)
			}
			var got []string
			for _, u := range report.Unread {
				got = append(got, fmt.Sprint(u.At, " ", u.Type, " ", u.Field, " ", u.Why))
			}
			slices.Sort(got)
			if strings.Join(got, ", ") != c.want || len(report.UnknownKeys) > 0 && c.name != "another type" {
				t.Errorf("%q and unknown keys %v, want %s", got, report.UnknownKeys, c.want)
			}
		})
	}
}

// A key from which one of two places leads on is no unknown one.
func TestExplain_AKeyIsUnknownWhereNoPlaceLeadsOn(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{Company: {"/a~1b/x=y"}, HostGroup: {"/*/z"}}})
	report, _ := f.Explain([]byte(`{"a/b":{"x=y":"A","q":1}}`), 32)
	if got := fmt.Sprint(report.UnknownKeys); got != "[{/a~1b/q number}]" || report.Origin(Company) != Configured {
		t.Errorf("unknown keys %s", got)
	}
}

// A key to which a "*" leads is somebody's name, or an id.
func TestReport_WithoutDataHasNoKeyThatIsData(t *testing.T) {
	f := compile(t, companyAt("/data/visitors/*/company"))
	report, _ := f.Explain([]byte(`{"data":{"visitors":{"lovelace":{"company":"A","badge":1}}}}`), 32)
	for at, want := range map[string]string{report.UnknownKeys[0].At: "/data/visitors/*/badge", report.Found[0].At[0]: "/data/visitors/*/company", "/data/x": "/data/x"} {
		if got := report.WithoutData(at); got != want {
			t.Errorf("%s is shown as %s, want %s", at, got, want)
		}
	}
}

// What is reported is bounded, whatever the body.
func TestExplain_IsBounded(t *testing.T) {
	f := compile(t, companyAt("/a/*", "/b/0"))
	report, _ := f.Explain([]byte(`{"a":[`+strings.Repeat(`"A",`, 9000)+`"A"],"b":[`+strings.Repeat(`1,`, 9000)+`1]}`), 32)
	if len(report.Unread) != MaxUnknown {
		t.Errorf("%d values", len(report.Unread))
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
