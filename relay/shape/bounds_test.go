package shape

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A body of the relay's default limit, made to be as much work as can be.
func TestAnyBodyIsDescribedInBounds(t *testing.T) {
	const size = 256 << 10
	list := func(element string) string {
		return "[" + strings.Repeat(element+",", size/(len(element)+1)) + "0]"
	}
	for name, body := range map[string]string{
		"numbers":          list(`1`),
		"texts":            list(`""`),
		"almost dates":     list(`"Mon Jan 02 2006 15:04:05 GMT"`),
		"keys":             object(20_000, func(i int) string { return fmt.Sprintf(`"%s%d":0`, letters(i), i%10) }),
		"odd keys":         object(20_000, func(i int) string { return fmt.Sprintf(`"%d":{"a":0}`, i) }),
		"an odd key last":  object(20_000, func(i int) string { return fmt.Sprintf(`"%s":0`, letters(i)) + strings.Repeat(`,"Zmark?":0`, i/19_999) }),
		"event names":      object(15_000, func(i int) string { return fmt.Sprintf(`"event":"e%d"`, i%10_000) }),
		"brackets":         strings.Repeat("[", size),
		"objects":          strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
		"long paths":       strings.Repeat(`{"`+strings.Repeat("k", 64)+`":`, 31) + object(20_000, func(i int) string { return fmt.Sprintf(`"k%d":0`, i%10_000) }) + strings.Repeat("}", 31),
		"one long text":    `"` + strings.Repeat("Zmark ", size/6) + `"`,
		"one long code":    `"` + strings.Repeat("aB3+", size/4) + `"`,
		"one long URL":     `"https://a/` + strings.Repeat("a/", size/2) + `"`,
		"one long address": `"` + strings.Repeat("a@", size/2) + `"`,
		"JSON in a text":   `"` + strings.Repeat("[", size/2) + strings.Repeat("]", size/2) + `"`,
	} {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			s := Of(golden, []byte(body))
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			encoded, err := json.Marshal(s)
			if err != nil || len(encoded) > 64<<10 || len(s.Text()) > 128<<10 || len(s.Fields) > 2000 {
				t.Errorf("%d bytes of JSON, %d of text, %d fields: %v", len(encoded), len(s.Text()), len(s.Fields), err)
			}
		})
	}
}

func TestWhatWasCutOffIsCounted(t *testing.T) {
	var dates []string // of 45 forms
	for fraction := range 9 {
		for _, zone := range []string{"", "Z", "+10", "+1030", "+10:30"} {
			dates = append(dates, `"2026-11-18T21:42:07.`+strings.Repeat("1", fraction+1)+zone+`"`)
		}
	}
	list := "[" + strings.Join(dates, ",") + "]"
	for _, c := range []struct {
		name, body string
		cut        Cut
		more       int // values in further forms
	}{
		{"a small body", `{"a":1}`, Cut{}, 0},
		{"32 objects within one another", strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32), Cut{}, 0},
		{"33 objects within one another", strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), Cut{TooDeep: 1}, 0},
		{"40 event names", object(40, func(i int) string { return fmt.Sprintf(`"event":"e%d"`, i) }), Cut{}, 8},
		{"45 forms of dates in a list", `{"a":` + list + `}`, Cut{}, 13},
		{"the same under masked keys", `{"an odd key":` + list + `,"a":` + list + `}`, Cut{}, 26},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := Of(nil, []byte(c.body))
			more := 0
			for _, f := range s.Fields {
				more += f.More
			}
			if s.Cut != c.cut || more != c.more {
				t.Errorf("cut %+v and %d, want %+v and %d", s.Cut, more, c.cut, c.more)
			}
		})
	}
}

func TestPlacesWithoutRoomAreCounted(t *testing.T) {
	for keys, want := range map[int]int{1999: 0, 2000: 1, 2500: 501} {
		body := object(keys, func(i int) string { return fmt.Sprintf(`"k%d":0`, i) })
		s := Of(nil, []byte(body))
		if s.Cut.Values != want || s.Cut.Fields == 0 || len(s.Fields)+s.Cut.Fields != 2000 {
			t.Errorf("%d keys: %d fields and cut %+v, want 2000 fields in all and %d values cut", keys, len(s.Fields), s.Cut, want)
		}
		if line := fmt.Sprintf("%d fields\n", s.Cut.Fields); !strings.HasSuffix(s.Text(), line) {
			t.Errorf("%d keys: the listing does not end with %s", keys, line)
		}
	}
}

// object is one with n fields.
func object(n int, field func(i int) string) string {
	var fields []string
	for i := range n {
		fields = append(fields, field(i))
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// letters are three that name the i-th of many.
func letters(i int) string {
	return string([]byte{'a' + byte(i%26), 'a' + byte(i/26%26), 'a' + byte(i/676%26)})
}
