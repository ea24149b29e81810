package ledger

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func TestChangeLog_RecordsTheLifeOfAnOrder(t *testing.T) {
	const key = "override.site.hq"
	o := visit.Order{Kind: visit.OrderOverride, Site: "hq", Reason: "x", Until: noon.Add(time.Hour)}
	began := given(key, o, "a", 1, 0)
	given, over, invalid := ledgerOf(began), ledgerOf(began, junk(key, 2, 1)), ledgerOf(junk(key, 1, 0))
	locked := ledgerOf(Entry{Key: "lockdown.site.hq", Order: &visit.Order{Kind: visit.OrderLockdown, Site: "hq"}, Revision: 1, Stored: noon})
	for name, c := range map[string]struct {
		before, after Ledger
		later         time.Duration
		want          []string // parts of the lines, in their order
	}{
		"nothing changes":         {given, given, time.Minute, nil},
		"it is given":             {Ledger{}, given, 0, []string{`msg="standing order in force" kind=override site=hq`}},
		"it is lifted":            {given, ledgerOf(began, lifted(key, "a", 2, 1)), 0, []string{"why=lifted"}},
		"its time is over":        {given, given, time.Hour, []string{`why="its time is over"`}},
		"it is given when over":   {Ledger{}, given, time.Hour, nil},
		"somebody writes over it": {given, over, 0, []string{"key=override.site.hq"}},
		"its bucket is gone":      {given, Ledger{}, 0, []string{`why="it is not in the bucket any more"`}},
		"a lockdown's bucket is":  {locked, locked.Renewed(Ledger{}, history, noon), 0, []string{"stays in force until it is lifted"}},
		"a fault that stays":      {invalid, invalid, time.Minute, nil},
		"a fault that is new":     {Ledger{}, invalid, 0, []string{"key=override.site.hq"}},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			h := ChangeLogger{Log: slog.New(slog.NewTextHandler(&log, nil))}
			h.Tell(c.before, "bucket", noon)
			log.Reset()
			h.Tell(c.after, "bucket", noon.Add(c.later))
			lines := strings.Split(strings.TrimSuffix(log.String(), "\n"), "\n")
			if log.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(c.want) {
				t.Fatalf("logged:\n%s", log.String())
			}
			for i, part := range c.want {
				if !strings.Contains(lines[i], part) {
					t.Errorf("%s is not in: %s", part, lines[i])
				}
			}
		})
	}
}
