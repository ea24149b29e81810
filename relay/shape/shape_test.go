package shape

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func fieldsOf(body string) string { return strings.Join(Of(nil, []byte(body)).Fields, "; ") }

func TestOf_ACheckInRequest(t *testing.T) {
	s := Of(http.Header{"Content-Type": {"application/json; charset=utf-8"}, "User-Agent": {"axios/0.21.1"}, "X-Sine-Auth": {"not-a-key-of-anybody"}},
		[]byte(`{"event":"signin_before","date":"2027-02-03T04:05:06.000Z","data":{"firstName":"Henrike","company":"Calder Winch Hire","mobile":"+61 400 111 222",`+
			`"photoURL":"https://example.com/henrike.jpg","host":null,"formResponses":{"responses":[{"label":"Inducted?","value":"yes"},{"label":"Age","value":null}]}}}`))
	want := Shape{
		Headers: []string{"content-type: application/json; charset=utf-8", "user-agent: axios/0.21.1", "x-sine-auth: up to 64 characters"},
		Bytes:   301, JSON: true, UTF8: true,
		Fields: []string{
			"$: object", "data: object", "data.company: string, up to 64 characters", "data.firstName: string, up to 8 characters", "data.formResponses: object",
			"data.formResponses.responses: list", "data.formResponses.responses[]: object", "data.formResponses.responses[].label: string, up to 64 characters or string, up to 8 characters",
			"data.formResponses.responses[].value: null or string, up to 8 characters", "data.host: null", "data.mobile: string +99 999 999 999",
			"data.photoURL: string, up to 64 characters, begins with https://", "date: string 9999-99-99a99:99:99.999a", `event: string "signin_before"`,
		},
	}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("%+v", s)
	}
}

func TestOf_Values(t *testing.T) {
	for body, want := range map[string]string{
		`""`:                               "$: string, blank",
		`" \u00a0"`:                        "$: string, blank",
		`"yes"`:                            "$: string, up to 8 characters",
		`"no"`:                             "$: string, up to 8 characters",
		`"Wed, 18 Nov 2026 21:42:07 GMT"`:  "$: string aaa, 99 aaa 9999 99:99:99 aaa",
		`"18/11/2026 4:05 pm"`:             "$: string 99/99/9999 9:99 aa",
		`"１2345 Ngọc 678"`:                 "$: string a9999 aaaa 999",
		`"data:image/jpeg;base64,/9j/4AA"`: "$: string, up to 64 characters, begins with data:",
		`"{\"a\":[1]}"`:                    "$: string, up to 64 characters, begins with {",
		`17`:                               "$: number",
		`1795038151000`:                    "$: number 9999999999999",
		`-1795038151.25`:                   "$: number -9999999999.99",
		`true`:                             "$: boolean",
		`[1,"x",[2],{"a":null}]`:           "$: list; []: list or number or object or string, up to 8 characters; [].a: null; [][]: number",
		"\ufeff{}":                         "$: object",
		`{"a":1,"a":"x"}`:                  "$: object; a: string, up to 8 characters",
		`{} {}`:                            "",
		`{"event":"signin_after","b":"Zma`: "",
		``:                                 "",
		`event=signin_after&a=Zmark`:       "",
	} {
		if got := fieldsOf(body); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
		if s := Of(nil, []byte(body)); s.JSON != (want != "") {
			t.Errorf("%s: JSON %v", body, s.JSON)
		}
	}
	if Of(nil, []byte("\"Z\xe4rk\"")).UTF8 {
		t.Error("what is not UTF-8 is said to be")
	}
}

func TestOf_ShowsTheNameOfTheEventAlone(t *testing.T) {
	for body, shown := range map[string]bool{
		`{"event":"Visit.signIn-after_2"}`:                      true,
		`{"payload":{"event":"Visit.signIn-after_2"}}`:          true,
		`{"body":{"event":"Visit.signIn-after_2"}}`:             true,
		`{"odd key":1,"event":"Visit.signIn-after_2"}`:          true,
		`{"data":{"event":"Visit.signIn-after_2"}}`:             false,
		`{"payload":{"body":{"event":"Visit.signIn-after_2"}}}`: false,
		`[{"event":"Visit.signIn-after_2"}]`:                    false,
		`{"event":{"event":"Visit.signIn-after_2"}}`:            false,
		`{"event":"Visit.signIn-after_2 "}`:                     false,
	} {
		if got := strings.Contains(fieldsOf(body), "Visit"); got != shown {
			t.Errorf("%s: %v", body, got)
		}
	}
}

func TestOf_MasksKeysBesideAnOddOne(t *testing.T) {
	for body, want := range map[string]string{
		`{"Zmark":1,"Zmark came?":2}`:                              "$ {}",
		`{"zmark@example.com":1,"Zmark":2}`:                        "$ {}",
		`{"date":1,"Zmark came?":2,"event":"a"}`:                   "$ date event {}",
		`{"a":{"Zmark came?":1}}`:                                  "$ a a{}",
		`[{"Zmark came?":1}]`:                                      "$ [] []{}",
		`{"Zmark":{"a":1},"98765":{"b":[2]}}`:                      "$ {} {}.a {}.b {}.b[]",
		`{"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee":{"firstName":1}}`: "$ {} {}.firstName",
	} {
		var paths []string
		for _, field := range Of(nil, []byte(body)).Fields {
			path, _, _ := strings.Cut(field, ": ")
			paths = append(paths, path)
		}
		if got := strings.Join(paths, " "); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func TestIsName_RefusesWhatMayBePersonal(t *testing.T) {
	for text, want := range map[string]bool{
		"firstName": true, "_id": true, "first_name": true, "a-b.c2": true, "question1234": true, strings.Repeat("x", 35): true,
		"": false, "Reason for visit": false, "ada@example.com": false, "Zmärk": false, "a$b": false, strings.Repeat("x", 36): false,
		"61400111222": false, "1st": false, "question12345": false, "-a": false, ".a": false, "a\n": false,
	} {
		if isName(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

func TestOf_Headers(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"Content-Type", "multipart/form-data; boundary=Zmark", "content-type: multipart/form-data"},
		{"Content-Type", "Zmark", "content-type: up to 8 characters"},
		{"Content-Encoding", "gzip, zmark", "content-encoding: gzip"},
		{"User-Agent", `Mozilla/5.0 (Zmark's iPad) Zmark/1`, "user-agent: Mozilla/5.0"},
		{"User-Agent", "Zmark zmark@example.com", "user-agent: up to 64 characters"},
		{"X-Sine-Auth", "Zmärk-secret", "x-sine-auth: up to 64 characters"},
		{"Zmark@Example.com", "Zmark", "(masked): up to 8 characters"},
		{"Zmark-98765432101", "", "(masked): up to 8 characters"},
	} {
		if got := Of(http.Header{c.name: {c.value}}, nil).Headers; len(got) != 1 || got[0] != c.want {
			t.Errorf("%s %s: %q", c.name, c.value, got)
		}
	}
	if got := Of(http.Header{"x-a": {"12"}, "X-A": {"1", strings.Repeat("1", 9)}}, nil).Headers; !slices.Equal(got, []string{"x-a: up to 64 characters", "x-a: up to 8 characters"}) {
		t.Errorf("two spellings: %q", got)
	}
}

// A body with mark and number in every place where a person may write.
const marked = `{"event":"Zmark came","date":"Zmark98765","zone":"Zmark/Zmark","data":{"id":"98765432-1011-4ccc-8ddd-eeeeeeeeeeee",` +
	`"firstName":"Zmark","lastName":"ZMARK","company":"Zmark Zmark Ltd","email":"zmark@zmark.example","mobile":"+98765432101 ","phone":"+98765432101",` +
	`"photoURL":"https://zmark.example/zmark.zmark?zmark#zmark","link":"zmark://zmark/","picture":"data:zmark/zmark;zmark,Zmark",` +
	`"token":"zmarkZMARK98765432101zmarkZMARK98765432101","inner":"{\"event\":\"Zmark\"}","pin":98765432101,"score":0.98765432101,` +
	`"born":"09/08/7654","escaped":"\u005amark","half":"Zmark\ud83d",` +
	`"answers":{"Zmark came?":"Zmark","zmark@zmark.example":{"value":"Zmark"},"Zmärk":null,"Zmark":"Zmark","98765432101":[["Zmark"]]},` +
	`"formResponses":{"responses":[{"label":"Zmark?","value":"Zmark"},{"label":"Zmark","value":["Zmark",{"Zmark it":1,"Zmark":2}]}]}}}`

func TestOf_ShowsNothingPersonal(t *testing.T) {
	header := http.Header{"Accept-Language": {"zmark"}, "Authorization": {"Bearer Zmark"}, "Content-Encoding": {"zmark"}, "Content-Type": {"application/json; zmark=Zmark", "zmark"},
		"Cookie": {"zmark=Zmark"}, "Forwarded": {"for=zmark"}, "User-Agent": {"axios/0.21.1 Zmark zmark@zmark.example (Zmark's; zmark/1.0) zmark/2.0"}, "X-Forwarded-For": {"98765432101"},
		"X-Sine-Auth": {"Zmark98765432101"}, "zmark@zmark.example": {"Zmark"}, "Zmark-98765432101": {"Zmark"}}
	for _, body := range []string{marked, "[" + marked + "]", `{"payload":` + marked + "}", "\ufeff" + marked, marked + "\xff", marked[:500]} {
		shown, err := json.Marshal(Of(header, []byte(body)))
		if err != nil {
			t.Fatal(err)
		}
		if found := regexp.MustCompile(`(?i).{0,60}(zmark|98765|7654).{0,60}`).Find(shown); found != nil {
			t.Errorf("%.40s…\nshows %s", body, found)
		}
	}
}

func TestOf_IsBounded(t *testing.T) {
	const size = 256 << 10
	object := func(field string) string {
		var all []string
		for i := range 20_000 {
			all = append(all, fmt.Sprintf(field, i%10_000, i))
		}
		return "{" + strings.Join(all, ",") + "}"
	}
	for name, body := range map[string]string{
		"numbers":       "[" + strings.Repeat("1,", size/2) + "0]",
		"keys":          object(`"k%d":%d`),
		"odd keys":      object(`"%d?":{"a%[1]d":"%d"}`),
		"event names":   `{"event":` + object(`"e%d":0`)[:1] + `},"payload":[` + strings.Repeat(`{"event":"e"},`, 9000) + `0]}`,
		"brackets":      strings.Repeat("[", size),
		"nested":        strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000),
		"long paths":    strings.Repeat(`{"`+strings.Repeat("k", 35)+`":`, 14) + object(`"k%d":%d`) + strings.Repeat("}", 14),
		"patterns":      "[" + strings.Repeat(`"123456","1234567","123456-7","123456 7","123456/7","123456.7","123456a","123456aa","123456aaa",`, 2000) + "0]",
		"one long text": `"` + strings.Repeat("Zmark 1 ", size/8) + `"`,
	} {
		header := http.Header{}
		for i := range 2000 {
			header.Set(fmt.Sprintf("X-%d", i), "1")
		}
		encoded, err := json.Marshal(Of(header, []byte(body)))
		if err != nil || len(encoded) > 2*maxBytes {
			t.Errorf("%s: %d bytes, %v", name, len(encoded), err)
		}
	}
	if s := Of(nil, []byte(object(`"k%d":%d`))); s.Omitted == 0 || len(s.Fields)+s.Omitted != 10_001 {
		t.Errorf("%d fields and %d omitted", len(s.Fields), s.Omitted)
	}
}

func FuzzOf(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Add([]byte(marked))
	// What is in a shape besides the paths and the event's name.
	own := regexp.MustCompile(`^(null|boolean|list|object|number( [9aeE.+-]+)?|string( "[A-Za-z0-9_.-]{1,35}"|, blank| [^0-8b-zA-Z\x80-\x{10ffff}]{6,40}|, (up to|more than) \d+ characters(, begins with (https?://|data:|\{|\[))?))$`)
	path := regexp.MustCompile(`^(\$|([A-Za-z_][A-Za-z0-9_.-]*|\[\]|\{\}|\.)*)$`)
	f.Fuzz(func(t *testing.T, body []byte) {
		s := Of(nil, body)
		if s.JSON != json.Valid(([]byte)(strings.TrimPrefix(string(body), "\ufeff"))) {
			t.Fatalf("JSON is %v", s.JSON)
		}
		for _, field := range s.Fields {
			at, forms, _ := strings.Cut(field, ": ")
			for form := range strings.SplitSeq(forms, " or ") {
				if !path.MatchString(at) || !own.MatchString(form) {
					t.Fatalf("%q: %q", at, form)
				}
			}
		}
	})
}
