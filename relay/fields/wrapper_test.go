package fields

import (
	"strings"
	"testing"
	"time"
)

// What is inside of a wrapper is the visitor's; what is around it may be anybody's.
func TestWrapper_InsideComesBeforeOutside(t *testing.T) {
	for _, c := range []struct {
		name string
		spec Spec
		body string
		want string
	}{
		{"another configured place", companyAt("/data/org", "/data/organisation"), `{"data":{"org":"Out"},"message":{"event":"e","data":{"organisation":"In"}}}`, "In"},
		{"any element", companyAt("/data/visitors/*/company"), `{"data":{"visitors":[{"company":"Out"}]},"message":{"event":"e","data":{"visitors":[{"company":"In"}]}}}`, "In"},
		{"a built-in place", companyAt("/data/org"), `{"data":{"org":"Out"},"message":{"event":"e","data":{"company":"In"}}}`, "In"},
		{"nothing inside", companyAt("/data/org"), `{"data":{"org":"Out"},"message":{"event":"e"}}`, "Out"},
		{"several inside", companyAt("/data/org"), `{"data":{"org":"Out"},"message":{"event":"e","data":{"org":"In","ORG":"Other"}}}`, ""},
		{"a template", companyAt("{/data/a/*} {/data/b}"), `{"data":{"a":["Out"],"b":"Out"},"message":{"event":"e","data":{"a":["In"],"b":"In"}}}`, "In In"},
		{"a part of a template outside", companyAt("{/a} {/data/b}"), `{"a":"Out","message":{"event":"e","data":{"b":"In"}}}`, "Out In"},
		{"a template outside", companyAt("{/data/a} {/data/b}"), `{"data":{"a":"Out","b":"Out"},"message":{"event":"e","data":{"company":"In"}}}`, "In"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.spec.Places[Wrapper] = []string{"/message"}
			for _, body := range []string{c.body, wrapperFirst(c.body)} {
				if got := read(t, compile(t, c.spec), body).Pass.Company; got != c.want {
					t.Errorf("%s: %q, want %q", body, got, c.want)
				}
			}
		})
	}
}

// wrapperFirst moves the wrapper, which is last, before what is around it.
func wrapperFirst(body string) string {
	at := strings.Index(body, `"message"`)
	return "{" + strings.TrimSuffix(body[at:], "}") + "," + strings.TrimSuffix(body[1:at], ",") + "}"
}

// Of several events one would be stored, and the others lost.
func TestWrapper_SeveralEventsAreNotUnderstood(t *testing.T) {
	const one, two = `{"event":"e","data":{"firstName":"Ada"}}`, `{"event":"e","data":{"firstName":"Charles"}}`
	for _, c := range []struct {
		name, wrapper, body string
		event               bool
	}{
		{"one of a list", "/*", `[` + one + `]`, true},
		{"two of a list", "/*", `[` + one + `,` + two + `]`, false},
		{"one and something else", "/*", `[null,{"a":1},` + one + `,"x"]`, true},
		{"the first of a list of one", "/0", `[` + one + `]`, true},
		{"the first of two", "/0", `[` + one + `,` + two + `]`, false},
		{"the first of two, the second a text", "/0", `[` + one + `,"{\"event\":\"e\"}"]`, false},
		{"the first, and something else", "/0", `[` + one + `,{"a":1},7]`, true},
		{"a key that is there twice", "/m", `{"event":"outer","m":` + one + `,"M":` + two + `}`, false},
		{"two places", "/m", `{"m":` + one + `,"payload":` + two + `}`, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := read(t, compile(t, Spec{Places: map[Field][]string{Wrapper: {c.wrapper}}}), c.body)
			if b.IsEvent != c.event || (b.Event != "") != c.event || c.event && b.Pass.Person.FirstName != "Ada" {
				t.Errorf("read as %+v", b)
			}
		})
	}
}

// A body may have as many wrappers as fit in: reading each must cost no more than its
// length, whatever there is around them.
func TestWrapper_ManyTakeTimeInProportionToTheBody(t *testing.T) {
	const size = 256 << 10
	f := compile(t, Spec{Places: map[Field][]string{Answers: {"/answers"}, Wrapper: {"/message/*"}, Company: {"{/a} {/b}"}}})
	half := func(text string) string { return strings.Repeat(text, size/2/len(text)) }
	answers := `"answers":{` + strings.TrimSuffix(half(`"a":1,`), ",") + `}`
	ordinary := `{"event":"e",` + answers + `,` + strings.TrimSuffix(half(`"u":"1234567890",`), ",") + `}`
	took := func(body string, read func([]byte)) time.Duration {
		fastest := time.Hour
		for range 3 {
			start := time.Now()
			read([]byte(body))
			fastest = min(fastest, time.Since(start))
		}
		return fastest
	}
	reads := map[string]func([]byte){
		"read":      func(body []byte) { f.Read(body, 32) },
		"explain":   func(body []byte) { f.Explain(body, 32) },
		"beginning": func(body []byte) { f.EventOfBeginning(body, 32) },
	}
	for name, body := range map[string]string{
		"empty":                `{"event":"e",` + answers + half(`,"body":{}`) + `}`,
		"events":               `{"event":"e",` + answers + half(`,"body":{"event":"e"}`) + `}`,
		"events without names": `{"event":"e",` + answers + half(`,"body":{"event":1}`) + `}`,
		"elements":             `{` + answers + `,"message":[` + strings.TrimSuffix(half(`{"a":1},`), ",") + `]}`,
		"beside unknown keys":  `{"event":"e"` + half(`,"body":{}`) + half(`,"u":1`) + `}`,
		"texts":                `{"event":"e"` + half(`,"body":"{}"`) + half(`,"u":1`) + `}`,
	} {
		for how, read := range reads {
			var usual, long time.Duration
			for range 5 {
				if usual, long = took(ordinary, read), took(body, read); long <= 20*usual+20*time.Millisecond {
					break
				}
			}
			if long > 20*usual+20*time.Millisecond {
				t.Errorf("%s, %s: %s; an ordinary body takes %s", how, name, long, usual)
			}
		}
	}
}

func TestWrapper_ADateWithinItCountsWhereItCanBeRead(t *testing.T) {
	for written, want := range map[string]bool{"2026-11-18T21:42:31Z": true, "soon": false} {
		b := read(t, Default, `{"payload":{"event":"signin_after","date":"`+written+`","data":{"id":"v"}}}`)
		if b.Found().Has(Date) != want || b.HasUnreadDate() == want {
			t.Errorf("%s: found is %v, want %v", written, b.Found().Has(Date), want)
		}
	}
}
