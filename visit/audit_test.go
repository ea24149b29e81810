package visit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func reveal() visit.Audit {
	return visit.Audit{
		ID: "M3456789ABCDEFGHK7Q2", Time: noon, Action: visit.ActionReveal, Site: "hq", Subject: "00112233445566778899aabbccddeeff",
		User: "ann@example.com", Role: "reception",
	}
}

func TestAudit_AnEntryHoldsIDsAndNoTexts(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*visit.Audit)
		fault  string // part of the error, or empty
	}{
		"one of an event":                     {func(*visit.Audit) {}, ""},
		"one of every site":                   {func(a *visit.Audit) { a.Site = visit.AllSites }, ""},
		"one of nothing in particular":        {func(a *visit.Audit) { a.Subject, a.Role = "", "" }, ""},
		"one of an action of later versions":  {func(a *visit.Audit) { a.Action = "print_badge" }, ""},
		"a key of a visit, as long as may be": {func(a *visit.Audit) { a.Subject = "a.b_c:d-" + strings.Repeat("x", 120) }, ""},
		"a user of another script":            {func(a *visit.Audit) { a.User = strings.Repeat("é", 255) }, ""},
		"a user with a space":                 {func(a *visit.Audit) { a.User = "CN=Ann Lee,O=Example" }, ""},
		"no id":                               {func(a *visit.Audit) { a.ID = "" }, `"id"`},
		"an id that is a text":                {func(a *visit.Audit) { a.ID = "Ada Lovelace" }, `"id"`},
		"an id that is too long":              {func(a *visit.Audit) { a.ID = strings.Repeat("x", 65) }, `"id"`},
		"no time":                             {func(a *visit.Audit) { a.Time = time.Time{} }, "time"},
		"no action":                           {func(a *visit.Audit) { a.Action = "" }, "action"},
		"an action of two tokens":             {func(a *visit.Audit) { a.Action = "reveal.all" }, "action"},
		"no site":                             {func(a *visit.Audit) { a.Site = "" }, "site"},
		"a site that is a pattern":            {func(a *visit.Audit) { a.Site = ">" }, "site"},
		"a subject that is a text":            {func(a *visit.Audit) { a.Subject = "Ada Lovelace" }, `"subject"`},
		"a subject that is too long":          {func(a *visit.Audit) { a.Subject = strings.Repeat("x", 129) }, `"subject"`},
		"a role that is a text":               {func(a *visit.Audit) { a.Role = "the role" }, "role"},
		"a role that is too long":             {func(a *visit.Audit) { a.Role = strings.Repeat("x", 65) }, "role"},
		"nobody":                              {func(a *visit.Audit) { a.User = "" }, "who"},
		"a blank user":                        {func(a *visit.Audit) { a.User = " " }, "who"},
		"a user of several lines":             {func(a *visit.Audit) { a.User = "ann\nbob" }, `"user"`},
		"a user that is written backwards":    {func(a *visit.Audit) { a.User = "ann\u202ebob" }, `"user"`},
		"a user that is too long":             {func(a *visit.Audit) { a.User = strings.Repeat("x", 256) }, `"user"`},
		"a user that is not UTF-8":            {func(a *visit.Audit) { a.User = "a\xff" }, `"user"`},
	} {
		t.Run(name, func(t *testing.T) {
			a := reveal()
			c.change(&a)
			err := a.Validate()
			switch {
			case c.fault == "" && err != nil:
				t.Error(err)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault) || strings.Contains(err.Error(), "Lovelace")):
				t.Errorf("%v, want something about %s", err, c.fault)
			}
		})
	}
}

func TestParseAudit_RefusesWhatNoDeskStores(t *testing.T) {
	good := reveal()
	m, err := good.Message(visit.Subjects{})
	if err != nil {
		t.Fatal(err)
	}
	if a, err := visit.ParseAudit(visit.Subjects{}, m.Subject, m.Data); err != nil || a != good {
		t.Errorf("%+v: %v", a, err)
	}
	for name, data := range map[string]string{
		"what is not JSON":        "{",
		"the reply to a request":  `{"type":"io.nats.jetstream.api.v1.stream_info_response"}`,
		"an entry with a text":    strings.Replace(string(m.Data), good.Subject, "Ada Lovelace", 1),
		"an entry of another one": strings.Replace(string(m.Data), `"hq"`, `"lab"`, 1),
	} {
		if a, err := visit.ParseAudit(visit.Subjects{}, m.Subject, []byte(data)); err == nil || a != (visit.Audit{}) || strings.Contains(err.Error(), "Lovelace") {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}
