package condition_test

import (
	"sync"
	"testing"

	"github.com/sine-relay/sine-relay/relay/condition"
)

// Errors, too: CEL marks the place in them.
func TestConditionsAreSharedByVisitors(t *testing.T) {
	conditions := map[string]string{
		`answers.exists(label, answers[label].matches("(?i)forklift")) && time == "08:05"`: "",
		`answers["Escorted?"] == "yes"`:                 `1:8: no such key; test for it first, with "key" in answers`,
		`1 / size(visitorType) == 1 / (size(site) - 2)`: "1:28: cannot be evaluated for this visitor",
		`int(company) == 3`:                             "1:4: cannot be evaluated for this visitor",
	}
	visitor := ada(t)
	var all sync.WaitGroup
	for expression, want := range conditions {
		c := compile(t, expression)
		for range 8 {
			all.Go(func() { holdsOften(t, c, visitor, want) })
		}
	}
	all.Wait()
}

func holdsOften(t *testing.T, c *condition.Condition, v condition.Visitor, want string) {
	for range 200 {
		got, err := c.Holds(v)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if !got || text != want {
			t.Errorf("%v, %v, want %s", got, err, want)
			return
		}
	}
}
