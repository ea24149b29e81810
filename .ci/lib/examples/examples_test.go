package main

import (
	"os"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

func TestLines_ARepeatAndAWrongOrderAreFound(t *testing.T) {
	in, out := line{ID: "1", Visit: "a", Kind: visit.KindCheckedIn}, line{ID: "2", Visit: "a", Kind: visit.KindCheckedOut}
	for _, c := range []struct {
		name          string
		lines         []line
		once, ordered bool
	}{
		{"a check-in and its check-out", []line{in, out}, true, true},
		{"the check-out first", []line{out, in}, true, false},
		{"the check-in twice", []line{in, in, out}, false, false},
	} {
		if got := onceEach(c.lines) == nil; got != c.once {
			t.Errorf("%s: once each is %t", c.name, got)
		}
		if got := inOrder(c.lines) == nil; got != c.ordered {
			t.Errorf("%s: in order is %t", c.name, got)
		}
	}
}

func TestPages_HaveWhatIsRun(t *testing.T) {
	commands, err := natsCommands("../../../docs/other-languages.md")
	if err != nil || len(commands) < 3 {
		t.Errorf("%d commands, %v", len(commands), err)
	}
	page, err := os.ReadFile("../../../docs/recipes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"http", "s3", "kafka"} {
		if text, err := configuration(string(page), "input", name); err != nil || !strings.Contains(text, "nats_jetstream") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := configuration(string(page), "carrier-pigeon"); err == nil {
		t.Error("a recipe that is not there is found")
	}
}
