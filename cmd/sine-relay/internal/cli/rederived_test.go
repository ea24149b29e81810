package cli

import (
	"reflect"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/visit"
)

// someRederived has one event of each result that a run with or without --submit has.
func someRederived(t *testing.T, submit bool) *rederived {
	t.Helper()
	r := newRederived()
	r.Read, r.Corrections = 1204, 3
	r.OtherKinds = append(r.OtherKinds, otherKind{
		Event: "ffeeddccbbaa99887766554433221100", Kind: visit.KindCheckedOut, Named: visit.KindCheckedIn,
		Site: "hq", Integration: "lobby", Received: noon, RequestID: "M7Q2MHRQPMH9YVK86ZMX",
	})
	for range 2 {
		r.unread(reasonNoSource)
	}
	r.unread(reasonUnreadable)
	for range 2 {
		r.inZone(relay.Rederived{Zone: "Europe/Zurich", ZoneOfEvent: true})
	}
	r.inZone(relay.Rederived{Zone: "Australia/Adelaide"})
	r.inZone(relay.Rederived{})
	stored := visit.Event{ID: "00112233445566778899aabbccddeeff", Kind: visit.KindCheckedIn}
	stored.Site, stored.Integration, stored.Received, stored.Time, stored.RequestID = "hq", "lobby", noon, noon, "K7Q2MHRQPMH9YVK86ZMX"
	stored.Person.FirstName, stored.VisitorType = "Contoso", "Contractor"
	correction := stored
	correction.Person.FirstName, correction.Company, correction.VisitorType = "Ada", "Contoso", ""
	results := []string{correctionReady}
	if submit {
		results = []string{correctionStored, correctionDuplicate, correctionFailed}
	}
	for i, result := range results {
		c := correction
		if err := c.Correct(&stored); err != nil {
			t.Fatal(err)
		}
		row, err := rowOfCorrection(&stored, &c, !submit)
		if err != nil {
			t.Fatal(err)
		}
		if row.Result = result; result == correctionFailed {
			row.Error = "publish visitors.v1.event.hq.checked_in: message is too large"
		}
		r.add(row)
		stored = c
		correction.Person.LastName += string(rune('a' + i))
	}
	return &r
}

// Whatever is added to the contract is compared, too: each field is changed by reflection.
func TestRederive_EveryFieldOfAnEventIsCompared(t *testing.T) {
	full := func() visit.Event {
		return visit.Event{ID: "e", Kind: visit.KindCheckedOut, Cause: visit.CauseExpired, Pass: visit.Pass{
			Host: &visit.Host{}, FormAnswers: []visit.FormAnswer{{Label: "Why?", Value: "Because"}},
		}, Origin: visit.Origin{Time: noon, Received: noon}}
	}
	before, err := typedFields(full())
	if err != nil {
		t.Fatal(err)
	}
	changed := full()
	identity := map[string]bool{"ID": true, "Corrects": true, "Revision": true, "Source": true}
	var each func(path string, v reflect.Value)
	each = func(path string, v reflect.Value) {
		if identity[path] {
			return
		}
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		switch v.Kind() {
		case reflect.Struct:
			if v.Type() != reflect.TypeFor[time.Time]() {
				for i := range v.NumField() {
					each(v.Type().Field(i).Name, v.Field(i))
				}
				return
			}
			v.Set(reflect.ValueOf(noon.Add(time.Hour)))
		case reflect.Pointer:
			each(path, v.Elem())
			return
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 3, 3))
		case reflect.String:
			v.SetString("another")
		case reflect.Bool:
			v.SetBool(true)
		default:
			t.Fatalf("%s is a %s, which this test cannot change", path, v.Kind())
		}
		after, err := typedFields(changed)
		if err != nil || len(changes(before, after)) != 1 {
			t.Errorf("%s: %v, %v", path, err, changes(before, after))
		}
		v.Set(old)
	}
	each("", reflect.ValueOf(&changed).Elem())
}

func TestRederive_AChangeSaysWhatBecomesOfAField(t *testing.T) {
	got := changes(
		map[string]string{"company": "", "host.group": "Planning", "person.firstName": "Ada", "time": "t"},
		map[string]string{"company": "", "person.firstName": "Bob", "time": "t", "visit.value": "v"})
	want := []fieldChange{
		{"host.group", fieldEmptied, "Planning", ""}, {"person.firstName", fieldChanged, "Ada", "Bob"}, {"visit.value", fieldFilled, "", "v"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestRederive_WhatCannotBeWrittenIsAnError(t *testing.T) {
	odd := visit.Event{Origin: visit.Origin{Time: time.Date(20_000, 1, 1, 0, 0, 0, 0, time.UTC)}}
	for _, pair := range [][2]*visit.Event{{&odd, {}}, {{}, &odd}} {
		if _, err := rowOfCorrection(pair[0], pair[1], false); err == nil {
			t.Error("no error")
		}
	}
}

func TestMomentFlag_IsATimeOrHowLongAgoItWas(t *testing.T) {
	var at time.Time
	if err := (momentFlag{&at}).Set("2026-11-18T12:00:00Z"); err != nil || !at.Equal(noon) {
		t.Errorf("%s %v", at, err)
	}
	before := time.Now()
	if err := (momentFlag{&at}).Set("2d"); err != nil || at.Before(before.Add(-48*time.Hour)) || at.After(time.Now().Add(-48*time.Hour)) {
		t.Errorf("%s %v", at, err)
	}
}
