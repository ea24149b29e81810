package shape

import (
	"strings"
	"testing"
)

func TestTexts(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", ``, "string, empty"},
		{"blanks", " \t\u00a0", "string, 3 characters, white space"},
		{"a yes tells no length", `Yes`, "string, boolean: yes or no"},
		{"nor does a no", `no`, "string, boolean: yes or no"},
		{"true as text", `TRUE`, "string, boolean: true or false"},
		{"digits", `0042`, "string, 4 characters, integer"},
		{"a decimal comma", `-1,5`, "string, 4 characters, fraction"},
		{"a UUID", `9d1f6c1e-5b0a-4a39-9d1c-3f3f7e3f8a22`, "string, uuid: lower case"},
		{"an object id", `507f1f77bcf86cd799439011`, "string, 24 characters, hex: lower case"},
		{"a word of hexadecimal letters", `defaced`, "string, 7 characters, word: lower case"},
		{"a phone number", `+61 400 111 222`, "string, 15 characters, phone: with +"},
		{"a local phone number", `(08) 8111-2222`, "string, 14 characters, phone: without +"},
		{"an address", `ada@mail.example.com`, "string, 20 characters, e-mail"},
		{"a URL", `HTTPS://user@ada.example.com:8443/a//b/c.jpg#d`, "string, 46 characters, url: https, 3 path segments"},
		{"a signed URL", `https://ada.example.com/a?sig=b`, "string, 31 characters, url: https with a query, 1 path segment"},
		{"a URL of a host alone", `http://ada.example.com`, "string, 22 characters, url: http, 0 path segments"},
		{"a URL of a scheme that may be a name", `ada://x/y`, "string, 9 characters, url: other scheme, 1 path segment"},
		{"a picture in the text", `data:image/jpeg;base64,/9j/4AAQ`, "string, 31 characters, data uri: image/jpeg"},
		{"data of a type that may be a name", `data:ada/lovelace,x`, "string, 19 characters, data uri: other kind"},
		{"a colon after data", `data: none`, "string, 10 characters, text: lower case, 2 words"},
		{"a picture in base64", `iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB`, "string, 32 characters, base64: png"},
		{"a token in base64", strings.Repeat("aB3_", 8), "string, 32 characters, base64: other kind"},
		{"an object in a text", `{"a":[1]}`, "string, 9 characters, json"},
		{"brackets in a text", `[sic]`, "string, 5 characters, code: lower case"},
		{"a name", `Ngọc`, "string, 4 characters, word: capitalised"},
		{"a name with combined accents", "Ngo\u0323c", "string, 5 characters, word: capitalised"},
		{"a double name", `Trần-O’Neill`, "string, 12 characters, word: mixed case"},
		{"a name without letter case", `陳大文`, "string, 3 characters, word"},
		{"an enumeration's value", `CHECKED_IN`, "string, 10 characters, code: upper case"},
		{"a sentence", `Crane inspection, bay 4`, "string, 23 characters, text: capitalised, 4 words"},
		{"a name of three", `Bexley Rigging Ltd`, "string, 18 characters, text: mixed case, 3 words"},
		{"a long word", strings.Repeat("a", 1000), "string, 1000 characters, code: lower case"},
		{"a text that is not UTF-8", "Ad\ufffd \ufffd", "string, 5 characters, text: capitalised, 2 words"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := classify(c.text).text(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestDates(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a day", `2026-11-18`, "date: 2006-01-02"},
		{"minutes", `2026-11-18T21:42Z`, "date: 2006-01-02T15:04Z"},
		{"seconds without a zone", `2026-11-18T21:42:07`, "date: 2006-01-02T15:04:05"},
		{"milliseconds", `2026-11-18T21:42:07.123Z`, "date: 2006-01-02T15:04:05.000Z"},
		{"microseconds after a comma", `2026-11-18T21:42:07,123456Z`, "date: 2006-01-02T15:04:05,000000Z"},
		{"an offset", `2026-11-19T17:30:00+10:30`, "date: 2006-01-02T15:04:05-07:00"},
		{"an offset without a colon", `2026-11-19T17:30:00-0330`, "date: 2006-01-02T15:04:05-0700"},
		{"an offset in hours", `2026-11-19T17:30:00+10`, "date: 2006-01-02T15:04:05-07"},
		{"blanks for the T and before the zone", `2026-11-19 17:30:00 +10:30`, "date: 2006-01-02 15:04:05 -07:00"},
		{"a thirteenth month", `2026-13-19T17:30:00Z`, "20 characters, code: upper case"},
		{"HTTP's", `Wed, 18 Nov 2026 21:42:07 GMT`, "date: Mon, 02 Jan 2006 15:04:05 MST"},
		{"JavaScript's", `Wed Nov 18 2026 21:42:07 GMT+0000 (Coordinated Universal Time)`, "date: Mon Jan 02 2006 15:04:05 GMT-0700"},
		{"prose like a day", `Thursday: nobody`, "16 characters, text: capitalised, 2 words"},
		{"slashes", `18/11/2026`, "date: 2/1/2006 or 1/2/2006"},
		{"slashes and a clock", `3/2/2027, 16:05:31`, "date: 2/1/2006 or 1/2/2006, 15:04:05"},
		{"slashes and half a day", `3/2/2027 4:05 pm`, "date: 2/1/2006 or 1/2/2006, 3:04 PM"},
		{"dots", `18.11.2026`, "date: 2.1.2006 or 1.2.2006"},
		{"epoch seconds", `1795038151`, "epoch: seconds"},
		{"epoch milliseconds", `1795038151000`, "epoch: milliseconds"},
		{"a version", `1.2.3`, "5 characters, code"},
		{"a number before the year 2000", `946684799`, "9 characters, integer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := classify(c.text).text(); got != "string, "+c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	for written, want := range map[string]string{
		`0`:                      "number, 1 digit, integer",
		`-17`:                    "number, 2 digits, integer",
		`1844674407370955161599`: "number, 22 digits, integer",
		`0.25`:                   "number, 3 digits, fraction",
		`1E400`:                  "number, 4 digits, fraction",
		`1795038151`:             "number, 10 digits, epoch: seconds",
		`1795038151.25`:          "number, 12 digits, epoch: seconds",
		`1795038151000`:          "number, 13 digits, epoch: milliseconds",
	} {
		if got := number(written).text(); got != want {
			t.Errorf("%s: %s, want %s", written, got, want)
		}
	}
}
