package shape

import (
	"reflect"
	"strings"
	"testing"
)

func TestBodies(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"an empty body", ``, "0 bytes, UTF-8, no JSON after 0 bytes, depth 0"},
		{"white space alone", " \r\n", "3 bytes, UTF-8, no JSON after 0 bytes, depth 0, 3 bytes of white space at the end"},
		{"prose", `Zmark came`, "10 bytes, UTF-8, no JSON after 0 bytes, depth 0"},
		{"a form", `event=signin_after&a=Zmark`, "26 bytes, UTF-8, no JSON after 0 bytes, depth 0"},
		{"a text", `"Zmark"`, "7 bytes, UTF-8, JSON, depth 0\n$  string, 5 characters, word: capitalised"},
		{"an empty object", `{}`, "2 bytes, UTF-8, JSON, depth 1\n$  object, 0 keys"},
		{"a body cut off in a text", `{"event":"signin_after","b":"Zma`, "32 bytes, UTF-8, no JSON after 27 bytes, depth 1\n$      object, 1 key\nevent  string \"signin_after\""},
		{"a body cut off after a key", `{"a":null,"b":`, "14 bytes, UTF-8, no JSON after 13 bytes, depth 1\n$  object, 1 key\na  null"},
		{"a body cut off after an odd key", `{"a b":1,"c":`, "13 bytes, UTF-8, no JSON after 12 bytes, depth 1\n$   object, 1 key\n{}  number, 1 digit, integer (keys: ×1 string, 3 characters, text: lower case, 2 words; ×1 string, 1 character, word: lower case)"},
		{"a body cut off at its beginning", `[`, "1 byte, UTF-8, no JSON after 1 byte, depth 1\n$  array, 0 elements"},
		{"something after the object", `{} {"a":1}`, "10 bytes, UTF-8, no JSON after 4 bytes, depth 1\n$  object, 0 keys"},
		{"a byte order mark", "\ufeff[1]\n", "7 bytes, UTF-8, with a byte order mark, JSON, depth 1, 1 byte of white space at the end\n$   array, 1 element\n[]  number, 1 digit, integer"},
		{"a byte order mark and no JSON", "\ufeffZmark", "8 bytes, UTF-8, with a byte order mark, no JSON after 3 bytes, depth 0"},
		{"not UTF-8", "{\"a\":\"Z\xe4rk\"}", "12 bytes, not UTF-8, JSON, depth 1\n$  object, 1 key\na  string, 4 characters, code: capitalised"},
		{"half a surrogate pair", `{"a":"Zmark \ud83d"}`, "20 bytes, UTF-8, JSON, depth 1\n$  object, 1 key\na  string, 7 characters, text: capitalised, 2 words"},
		{"duplicate keys", `{"a":1,"a":"x","\u0061":2}`, "26 bytes, UTF-8, JSON, depth 1, 2 duplicate keys\n$  object, 3 keys\na  ×2 number, 1 digit, integer; ×1 string, 1 character, word: lower case"},
		{"an array of everything", `[1,22,"x",null,true,false,[],[1],{},{"a":[[2.5]]}]`, "50 bytes, UTF-8, JSON, depth 4\n$         array, 10 elements\n" +
			"[]        ×2 number, 1–2 digits, integer; ×1 string, 1 character, word: lower case; ×1 null; ×2 boolean; ×2 array, 0–1 elements; ×2 object, 0–1 keys\n" +
			"[][]      number, 1 digit, integer\n[].a      array, 1 element\n[].a[]    array, 1 element\n[].a[][]  number, 2 digits, fraction"},
		{"a key with a dot", `{"a.b":{"c":null}}`, "18 bytes, UTF-8, JSON, depth 2\n$        object, 1 key\n\"a.b\"    object, 1 key\n\"a.b\".c  null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := Of(nil, []byte(c.body)).Text(); got != c.want+"\n" {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func TestEventNames(t *testing.T) {
	for _, c := range []struct {
		name, body string
		shown      bool
	}{
		{"at the top", `{"event":"Visit.signIn-after_2"}`, true},
		{"in payload", `{"payload":{"event":"Visit.signIn-after_2"}}`, true},
		{"in body", `{"body":{"event":"Visit.signIn-after_2"}}`, true},
		{"beside an odd key", `{"odd key":1,"event":"Visit.signIn-after_2"}`, true},
		{"in another wrapper", `{"data":{"event":"Visit.signIn-after_2"}}`, false},
		{"wrapped twice", `{"payload":{"body":{"event":"Visit.signIn-after_2"}}}`, false},
		{"in a list", `[{"event":"Visit.signIn-after_2"}]`, false},
		{"in a wrapped list", `{"payload":[{"event":"Visit.signIn-after_2"}]}`, false},
		{"deeper in the event", `{"event":{"event":"Visit.signIn-after_2"}}`, false},
		{"in another letter case", `{"Event":"Visit.signIn-after_2"}`, false},
		{"of several words", `{"event":"Visit.signIn-after_2 "}`, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := Of(nil, []byte(c.body)).Text()
			if strings.Contains(text, `string "Visit.signIn-after_2"`) != c.shown || strings.Contains(text, "Visit") != c.shown {
				t.Errorf("shown is not %v:\n%s", c.shown, text)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]bool{
		"firstName": true, "_id": true, "first_name": true, "a-b.c2": true, "question1234": true, strings.Repeat("x", 64): true,
		"": false, "Reason for visit": false, "ada@example.com": false, "Zmärk": false, "a$b": false, strings.Repeat("x", 65): false,
		"61400111222": false, "1st": false, "question12345": false, "-a": false, ".a": false, "a\n": false,
		"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee": false, "c3a1b2d4": true, "c3a1b2d45": false,
	} {
		if isName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}

func TestTheSameCallHasTheSameShape(t *testing.T) {
	for _, file := range samples(t) {
		body := readFile(t, file)
		first := Of(golden, body)
		for range 20 {
			if again := Of(golden.Clone(), body); !reflect.DeepEqual(again, first) || again.Text() != first.Text() {
				t.Fatalf("%s: %s\nthen\n%s", file, first.Text(), again.Text())
			}
		}
	}
}
