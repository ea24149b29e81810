package fields

import (
	"strings"
	"testing"
)

func TestSure_TheExactSpellingComesFirst(t *testing.T) {
	for _, c := range []struct {
		field      Field
		body, want string
	}{
		{Visit, `{"data":{"_id":"rec1","id":"9"}}`, "9"},
		{Visit, `{"data":{"id":"9","_id":"rec1"}}`, "9"},
		{Visit, `{"data":{"_id":"rec1","ID":"9"}}`, ""},
		{Visit, `{"data":{"_id":"9","ID":"9"}}`, "9"},
		{Visit, `{"data":{"_id":"rec1","ID":"8","id":"9"}}`, "9"},
		{Visit, `{"Data":{"id":"8"},"data":{"id":"9"}}`, "9"},
		{LastName, `{"data":{"lastName":"L","last_name":"M"}}`, "L"},
		{LastName, `{"data":{"LASTNAME":"L","last_name":"M"}}`, ""},
		{LastName, `{"data":{"last_name":"M","last_name":"L"}}`, ""},
		{LastName, `{"data":{"lastName":"M","lastName":"L"}}`, ""},
		{LastName, `{"data":{"lastName":"L","lastName":"L"}}`, "L"},
		{Company, `{"data":{"company":"A","company":"B"}}`, ""},
		{Company, `{"data":{"company":"A"},"data":{"company":"B"}}`, ""},
		{Visit, `{"data":{"visitId":"1","visitId":"2"}}`, ""},
		{Email, `{"data":{"email":"a@b.ch","email":"A@b.ch"}}`, "A@b.ch"},
		{Event, `{"event":"a","event":"b"}`, "b"},
		{Date, `{"date":"1","date":"2"}`, "2"},
		{Company, `{"data":{"company":"A","Company":"B"}}`, ""},
		{Company, `{"data":{"Company":"B","company":"A"}}`, ""},
		{Company, `{"data":{"Company":"A","company":"A"}}`, "A"},
		{VisitorType, `{"data":{"PassType":"A","passType":"B"}}`, ""},
	} {
		b := read(t, Default, c.body)
		if got := valueOf(b, c.field); got != c.want || (b.Origin(c.field) != Missing) != (c.want != "") {
			t.Errorf("%s: %s is %q, want %q", c.body, c.field, got, c.want)
		}
	}
	f := compile(t, Spec{Places: map[Field][]string{PersonName: {"{/data/a} {/data/b}"}, PersonID: {"/list/*/ref"}}})
	for body, want := range map[string]string{
		`{"data":{"a":"x","a":"F","b":"L"}}`: "", `{"data":{"a":"F","a":"F","b":"L"}}`: "F L",
		`{"data":{"A":"x","a":"F","_a":"y","b":"L"}}`: "F L", `{"data":{"A":"x","_a":"y","b":"L"}}`: "", `{"data":{"A":"F","_a":"F","b":"L"}}`: "F L",
	} {
		if got := read(t, f, body).Pass.Person.LastName; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
	for body, want := range map[string]string{`{"list":[{"_ref":"1","ref":"2"},{"ref":"3"}]}`: "2", `{"list":[{"_ref":"1"},{"ref":"3"}]}`: "1"} {
		if got := read(t, f, body).Pass.Person.ID; got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

func valueOf(b *Body, field Field) string {
	if field == Cause && b.Origin(Cause) != Missing {
		return string(b.Cause)
	}
	r := reading{Body: b}
	return *r.text(numberOf(field))
}

// A guess that another guess contradicts is none.
func TestSure_BuiltInPlacesMustAgree(t *testing.T) {
	for _, c := range []struct {
		field      Field
		body, want string
	}{
		{Company, `{"data":{"company":"Customer","visitor":{"company":"Denied"}}}`, ""},
		{Company, `{"data":{"visitor":{"company":"Denied"},"company":"Customer"}}`, ""},
		{Company, `{"data":{"company":"Customer","visitorCompany":"Denied"}}`, ""},
		{Company, `{"data":{"company":"Denied","visitorCompany":"Denied"}}`, "Denied"},
		{Company, `{"data":{"company":"","companyName":"Denied"}}`, "Denied"},
		{VisitorType, `{"data":{"passType":"QR","visitorType":"Contractor"}}`, ""},
		{FirstName, `{"data":{"visitor":{"givenName":"A"},"firstName":"Ada"}}`, "Ada"},
		{FirstName, `{"data":{"firstName":"Ada","visitor":{"givenName":"A"}}}`, "Ada"},
		{FirstName, `{"data":{"visitor":{"givenName":"A"},"guest":{"firstName":"B"},"firstName":"Ada"}}`, "Ada"},
		{FirstName, `{"data":{"visitor":{"givenName":"A"},"guest":{"firstName":"B"}}}`, ""},
		{HostGroup, `{"data":{"host":{"department":"D","group":"G"}}}`, ""},
		{HostGroup, `{"data":{"host":{"department":"D","hostGroupName":"G"}}}`, "G"},
		{Mobile, `{"data":{"mobile":"1","phone":"2"}}`, "1"},
		{Mobile, `{"data":{"phone":"2","mobile":"1"}}`, "1"},
		{Mobile, `{"data":{"mobile":"1","visitor":{"mobile":"2"}}}`, ""},
		{Mobile, `{"data":{"mobile":"+41 79 1","visitor":{"mobile":"+41791"}}}`, "+41 79 1"},
		{Email, `{"data":{"email":"a@x","visitor":{"email":"b@x"}}}`, ""},
		{Email, `{"data":{"email":"a@x","visitor":{"email":"A@X"}}}`, "a@x"},
		{PhotoURL, `{"data":{"imageUrl":"u","photoURL":"v"}}`, "v"},
		{PhotoURL, `{"data":{"imageUrl":"u","photo":"v"}}`, ""},
		{Visit, `{"data":{"visitId":"1","passId":"2"}}`, ""},
		{Visit, `{"data":{"passId":"2","id":"3","visitId":"2"}}`, "2"},
		{Visit, `{"data":{"id":"3","visitId":"2"}}`, "2"},
		{PersonID, `{"data":{"visitor":{"id":"1"},"personId":"2"}}`, ""},
		{ExternalID, `{"externalId":"1","data":{"externalId":"2"}}`, ""},
		{Cause, `{"data":{"status":"checked_out","checkOutReason":"Expired"}}`, ""},
		{Cause, `{"data":{"status":"checked_out","checkOutReason":"signed out"}}`, "checked_out"},
		{Cause, `{"data":{"status":"checked_out","checkOutReason":"by host"}}`, "checked_out"},
		{PersonName, `{"data":{"person":{"name":"Host"},"visitor":{"company":"X"}}}`, ""},
	} {
		b := read(t, Default, c.body)
		got := valueOf(b, c.field)
		switch {
		case c.field == PersonName:
			got = b.Pass.Person.LastName
		case c.field == HostGroup && b.Pass.Host != nil:
			got = b.Pass.Host.Group
		}
		if got != c.want || (b.Origin(c.field) != Missing) != (c.want != "") {
			t.Errorf("%s: %s is %q, want %q", c.body, c.field, got, c.want)
		}
	}
	f := compile(t, companyAt("/data/a/name=Company/value"))
	for body, want := range map[string]string{
		`{"data":{"a":[{"name":"Company","value":"A"},{"name":"COMPANY","value":"B"}]}}`:  "",
		`{"data":{"a":[{"name":"Company","value":"A"},{"name":"COMPANY","value":"A"}]}}`:  "A",
		`{"data":{"a":[{"name":"Company","value":null},{"name":"Company","value":"A"}]}}`: "A",
	} {
		if b := read(t, f, body); b.Pass.Company != want {
			t.Errorf("%s: %q, want %q", body, b.Pass.Company, want)
		}
	}
	f = compile(t, companyAt("/data/org"))
	for _, body := range []string{`{"data":{"org":"A","company":"B","visitor":{"company":"C"}}}`, `{"data":{"company":"B","visitor":{"company":"C"},"org":"A"}}`} {
		if b := read(t, f, body); b.Pass.Company != "A" || b.Origin(Company) != Configured {
			t.Errorf("%s: %q", body, b.Pass.Company)
		}
	}
}

func TestSure_WhatProgramsWriteForNothingIsMissing(t *testing.T) {
	for _, none := range []string{"null", "undefined", "N/A", "none", "-", "{{visitor.name}}", "${name}", "<% name %>"} {
		b := read(t, compile(t, Spec{Places: map[Field][]string{LastName: {"{/data/a} {/data/b}"}}}),
			strings.ReplaceAll(`{"data":{"firstName":"?","company":"?","mobile":"?","visitorType":"?","a":"?","b":"L","host":{"name":"?"}}}`, "?", none))
		if b.Meets(Person) || b.Pass.Company+b.Pass.Person.Mobile+b.Pass.VisitorType+b.Pass.Host.LastName != "" || b.Found() != 0 {
			t.Errorf("%q is taken: %+v", none, b.Pass)
		}
	}
	if b := read(t, Default, `{"data":{"lastName":"Null"}}`); b.Pass.Person.LastName != "Null" {
		t.Error("somebody has no name")
	}
}

// Two people in one list do not become one.
func TestSure_AnyElementIsTheSameForAllFields(t *testing.T) {
	f := compile(t, Spec{Places: map[Field][]string{
		FirstName: {"/data/people/*/first"}, LastName: {"/data/people/*/last"}, Company: {"/data/people/*/org", "/data/people/*/jobs/*/org"},
		PersonName: {"{/data/people/*/title} {/data/people/*/full}"}, HostLastName: {"/data/people/*/host"}, Visit: {"/data/passes/*/ref"},
	}})
	for _, c := range []struct{ people, want string }{
		{`[{"first":"Ada"},{"first":"Charles","last":"Babbage","org":"Nice"}]`, "Ada//"},
		{`[{"role":"driver"},{"last":"Babbage","first":"Charles","jobs":[{},{"org":"Nice"}]}]`, "Charles/Babbage/Nice"},
		{`[{"jobs":[{"org":"Denied"}]},{"first":"Charles","org":"Nice"}]`, "//Denied"},
		{`{"x":{"first":" "},"y":{"first":"Ada"},"z":{"first":"Bob","last":"L"}}`, "Ada//"},
		{`[{"title":"Dr"},{"full":"Babbage","org":"Nice"}]`, "//"},
	} {
		b := read(t, f, `{"event":"e","data":{"people":`+c.people+`,"passes":[{"ref":"v-1"}]}}`)
		if got := b.Pass.Person.FirstName + "/" + b.Pass.Person.LastName + "/" + b.Pass.Company; got != c.want || b.VisitID != "v-1" {
			t.Errorf("%s: %s, want %s", c.people, got, c.want)
		}
	}
	b := read(t, f, `{"data":{"people":[{"host":"Rui"},{"first":"Ada","last":"Lovelace"}]}}`)
	if b.Pass.Host == nil || b.Pass.Host.LastName != "Rui" || b.Pass.Person.FirstName != "Ada" {
		t.Errorf("a host in another element: %+v", b.Pass)
	}
}
