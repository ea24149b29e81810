package shape

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// Every value, odd key and header of this call can be recognised, whatever class
// it is of.
const marked = `{"event":"Zmark event","date":"2026-11-18T21:42:31ZZmark","id":"Zmark-1","data":{` +
	`"firstName":"Zmark","lastName":"ZMARK","company":"Zmark Zmark Ltd","email":"zmark@zmark.example","mobile":"+98765432101 ","phone":"+98765432101",` +
	`"photoURL":"https://zmark.example/zmark.zmark?zmark#zmark","link":"zmark://zmark/","picture":"data:zmark/zmark;zmark,Zmark","badge":"data:image/png;zmark,Zmark",` +
	`"token":"zmarkZMARK98765432101zmarkZMARK98765432101","inner":"{\"event\":\"Zmark\"}","status":"Zmark_Status","pin":98765432101,"score":0.98765432101,"code":"98765432101",` +
	`"born":"09/08/7654","escaped":"\u005amark","half":"Zmark\ud83d",` +
	`"answers":{"Zmark came?":"Zmark","zmark@zmark.example":{"value":"Zmark"},"Zmärk":null,"Zmark":"Zmark","98765432101":[["Zmark"]]},` +
	`"formResponses":{"responses":[{"label":"Zmark?","value":"Zmark"},{"label":"Zmark","value":["Zmark",{"Zmark it":1,"Zmark":2}]}]}}}`

var markedHeader = http.Header{
	"Accept":              {"Zmark"},
	"Accept-Encoding":     {"gzip, Zmark"},
	"Accept-Language":     {"zmark"},
	"Authorization":       {"Bearer Zmark"},
	"Content-Encoding":    {"zmark"},
	"Content-Length":      {"98765432101 "},
	"Content-Type":        {"application/json; zmark=Zmark", "zmark"},
	"Cookie":              {"zmark=Zmark"},
	"Forwarded":           {"for=zmark"},
	"Host":                {"zmark.example"},
	"Referer":             {"https://zmark.example/zmark"},
	"Transfer-Encoding":   {"chunked; zmark"},
	"User-Agent":          {"axios/0.21.1 Zmark zmark@zmark.example (Zmark's; zmark/1.0) zmark/2.0"},
	"X-Forwarded-For":     {"98765432101", "zmark"},
	"X-Sine-Auth":         {"Zmark98765432101"},
	"zmark@zmark.example": {"Zmark"},
	"Zmark-98765432101":   {"Zmark"},
}

// traces is a shape in both its forms.
func traces(t testing.TB, s Shape) string {
	t.Helper()
	encoded, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded) + s.Text()
}

func TestNothingPersonalIsInAShape(t *testing.T) {
	for cut := len(marked); cut >= 0; cut -= 3 {
		for _, body := range []string{marked[:cut], marked[cut:], `[` + marked[:cut], `{"payload":` + marked[:cut], "\ufeff" + marked[:cut] + "\xff"} {
			shown := strings.ToLower(traces(t, Of(markedHeader, []byte(body))))
			for _, mark := range []string{"zmark", "98765", "7654"} {
				if found := strings.Index(shown, mark); found >= 0 {
					t.Fatalf("%s\nshows …%s…", body, shown[max(0, found-100):min(len(shown), found+100)])
				}
			}
		}
	}
}

func TestKeysBesideAnOddOneAreMasked(t *testing.T) {
	for _, c := range []struct{ name, body, want string }{
		{"before it", `{"Zmark":1,"Zmark came?":2}`, "$ {}"},
		{"after it", `{"zmark@example.com":1,"Zmark":2}`, "$ {}"},
		{"known names stay", `{"date":1,"Zmark came?":2,"event":"a"}`, "$ date {} event"},
		{"what is below them is kept apart", `{"Zmark":{"a":1},"98765":{"b":[2]}}`, "$ {} {}.b {}.b[] {}.a"},
		{"in another element of a list", `[{"Zmark":1},{"Zmark came?":2}]`, "$ [] []{}"},
		{"an odd key below a masked one", `{"Zmark":{"Zmark":1},"Zmark came?":{"Zmark came?":1}}`, "$ {} {}{}"},
		{"an odd key below one masked with it", `{"Zmark came?":{"Zmark":1},"Zmark":{"Zmark came?":1}}`, "$ {} {}{}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var paths []string
			for _, f := range Of(nil, []byte(c.body)).Fields {
				paths = append(paths, f.Path)
			}
			if got := strings.Join(paths, " "); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

func TestAnOddKeyWithoutRoomMasksAsWell(t *testing.T) {
	body := object(2500, func(i int) string {
		if i == 2400 {
			return `"Zmark came?":0`
		}
		return `"Zmark` + letters(i) + `":0`
	})
	s := Of(nil, []byte(body))
	if text := traces(t, s); strings.Contains(text, "Zmark") || s.Cut.Values != 501 {
		t.Errorf("cut %+v: %.500s", s.Cut, text)
	}
}
