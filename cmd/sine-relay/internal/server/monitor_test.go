package server

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

func TestCovers_AsNATSMatchesSubjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pattern, subject string
		want             bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.b", "a.b.c", false}, {"a.b.c", "a.b", false},
		{"a.*", "a.b", true}, {"*.b", "a.b", true}, {"a.*", "a", false}, {"a.*", "a.b.c", false},
		{"a.>", "a.b.c", true}, {"a.>", "a", false}, {">", "a", true},
	} {
		if got := Covers(c.pattern, c.subject); got != c.want || got != server.SubjectMatchesFilter(c.subject, c.pattern) {
			t.Errorf("%s covers %s: %t", c.pattern, c.subject, got)
		}
	}
}
