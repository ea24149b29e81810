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
