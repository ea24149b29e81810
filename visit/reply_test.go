package visit

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// replyParts are what random replies are made of; most are as deciders write them.
var replyParts = []string{
	"{", "}", ",", ":", ",", ":", " ", "\n", `"decision"`, `"decision":"accept"`, `"decision":"reject"`, `"decision":"REJECT"`, `"decision":""`, `"Decision":"reject"`,
	`"visitorText":"Welcome, Ada"`, `"visitorText":" "`, `"visitorText":"ü"`, `"adminNote":"a {b}: [c], d"`, `"adminNote":"<&>"`, `"adminNote":5`, `"decider" : "watchlist"`,
	`"version":"1.2.3"`, `"version":null`, `"pass":{"zone":"B"}`, `"added":"x"`, `"\u0064ecision":"accept"`, `"visitorText":"a\"b"`, "\x7f", "\"",
}

func TestReply_APlainOneIsReadAsAnyOther(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	plain := 0
	for range 300_000 {
		var fields []string
		for range 1 + random.IntN(4) {
			fields = append(fields, replyParts[8+random.IntN(len(replyParts)-8)])
		}
		data := "{" + strings.Join(fields, ",") + "}"
		for range random.IntN(8) / 6 {
			at := random.IntN(len(data) + 1)
			data = data[:at] + replyParts[random.IntN(len(replyParts))] + data[at:]
		}
		d, ok := readPlainReply([]byte(data))
		if !ok {
			continue
		}
		plain++
		r := readReply([]byte(data))
		r.decision.Verdict = d.Verdict
		if r.err != nil || r.verdicts != 1 || r.rejects != (d.Verdict == Reject) || !reflect.DeepEqual(d, r.decision) {
			t.Fatalf("%s is %+v, and read as any other %+v, %v", data, d, r.decision, r.err)
		}
	}
	if plain < 1000 {
		t.Errorf("only %d of the replies were plain", plain)
	}
}

func TestReply_WhatDecidersWriteIsPlain(t *testing.T) {
	for data, plain := range map[string]bool{
		`{"decision":"accept"}`: true,
		`{ "decision" : "reject", "visitorText" : "Please see reception.", "adminNote":"a", "decider":"b", "version":"1" }`: true,
		`{"decision":"accept","visitorText":"` + strings.Repeat("x", maxDecisionText) + `"}`:                                false,
		`{"decision":"accept","visitorText":"Grüezi"}`:                                                                      false,
		`{"visitorText":"Welcome"}`: false,
		``:                          false,
	} {
		if _, ok := readPlainReply([]byte(data)); ok != plain {
			t.Errorf("%.80s: plain = %v", data, ok)
		}
		if _, err := ParseDecision([]byte(data)); plain && err != nil || errors.Is(err, ErrInvalidDecision) != (err != nil) {
			t.Errorf("%.80s: %v", data, err)
		}
	}
}

func BenchmarkParseDecision(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseDecision([]byte(`{"decision":"accept","visitorText":"Welcome"}`)); err != nil {
			b.Fatal(err)
		}
	}
}
