package visit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

func override() visit.Order {
	return visit.Order{
		Kind: visit.OrderOverride, Site: "hq", Message: "Welcome", Reason: "decider <down>", By: "ada",
		Since: noon, Until: noon.Add(time.Hour),
	}
}

func TestWireFormat_OfOrdersIsFrozen(t *testing.T) {
	for file, o := range map[string]visit.Order{
		"testdata/order.json":      override(),
		"testdata/order-bare.json": {Kind: visit.OrderLockdown, Site: visit.AllSites},
	} {
		data, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		compareGolden(t, file, data)
		var back visit.Order
		if err := json.Unmarshal(data, &back); err != nil || back != o {
			t.Errorf("%+v came back as %+v, %v", o, back, err)
		}
	}
}

func TestOrder_AnInvalidOneIsRefused(t *testing.T) {
	lockdown := func(o *visit.Order) { *o = visit.Order{Kind: visit.OrderLockdown, Site: "hq"} }
	for name, c := range map[string]struct {
		change func(*visit.Order)
		fault  string // part of the error, or empty
	}{
		"an override":                         {func(*visit.Order) {}, ""},
		"an override of all sites":            {func(o *visit.Order) { o.Site = visit.AllSites }, ""},
		"an override without a message":       {func(o *visit.Order) { o.Message = "" }, ""},
		"an override without a beginning":     {func(o *visit.Order) { o.Since = time.Time{} }, ""},
		"a lockdown that says nothing else":   {lockdown, ""},
		"a lockdown with an end":              {func(o *visit.Order) { lockdown(o); o.Until = noon }, ""},
		"texts as long as they may be":        {func(o *visit.Order) { o.Message, o.By = strings.Repeat("é", 500), strings.Repeat("é", 100) }, ""},
		"no kind":                             {func(o *visit.Order) { o.Kind = "" }, "kind"},
		"a kind that is unknown":              {func(o *visit.Order) { o.Kind = "drill" }, "kind"},
		"no site":                             {func(o *visit.Order) { o.Site = "" }, "site"},
		"a site that is no name":              {func(o *visit.Order) { o.Site = "hq.>" }, "site"},
		"an override without an end":          {func(o *visit.Order) { o.Until = time.Time{} }, "requires a time"},
		"an override that ends as it begins":  {func(o *visit.Order) { o.Until = o.Since }, "ends before"},
		"a lockdown that ends before it does": {func(o *visit.Order) { lockdown(o); o.Since, o.Until = noon, noon.Add(-1) }, "ends before"},
		"an override without a reason":        {func(o *visit.Order) { o.Reason = "" }, "reason"},
		"an override for a blank reason":      {func(o *visit.Order) { o.Reason = " \u00a0" }, "reason"},
		"a message that is too long":          {func(o *visit.Order) { o.Message = strings.Repeat("x", 501) }, `"message"`},
		"a reason that is too long":           {func(o *visit.Order) { o.Reason = strings.Repeat("x", 501) }, `"reason"`},
		"a name that is too long":             {func(o *visit.Order) { o.By = strings.Repeat("x", 101) }, `"by"`},
		"a line break":                        {func(o *visit.Order) { o.Message = "a\nb" }, "control"},
		"an escape sequence":                  {func(o *visit.Order) { o.By = "\x1b[2J" }, "control"},
		"a line separator":                    {func(o *visit.Order) { o.Message = "a\u2028b" }, "control"},
		"a message that is turned around":     {func(o *visit.Order) { o.Message = "open to \u202egnihton" }, `"message" contains the invisible character U+202E`},
		"a reason with an isolate":            {func(o *visit.Order) { o.Reason = "call \u2066110" }, "U+2066"},
		"a name with an embedding":            {func(o *visit.Order) { o.By = "ada\u202bbob" }, `"by" contains the invisible character U+202B`},
		"a user with a word joiner":           {func(o *visit.Order) { o.User = "ad\u2060a" }, `"user"`},
		"a byte order mark":                   {func(o *visit.Order) { o.Account = "\ufeffOPS" }, "U+FEFF"},
		"a text that tags hide":               {func(o *visit.Order) { o.Message = "x\U000e0041" }, "U+E0041"},
		"letters that joiners join":           {func(o *visit.Order) { o.Message = "می\u200cخواهم क्\u200dष 👩\u200d🚒" }, ""},
		"marks of direction":                  {func(o *visit.Order) { o.Message = "\u200fשלום\u200f (HQ)\u200e \u061c" }, ""},
		"words of Khmer":                      {func(o *visit.Order) { o.Message = "សូម\u200bរង់ចាំ" }, ""},
		"bytes that are not UTF-8":            {func(o *visit.Order) { o.Reason = "a\xff" }, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			o := override()
			c.change(&o)
			err := o.Validate()
			switch {
			case c.fault == "" && err != nil:
				t.Error(err)
			case c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)):
				t.Errorf("%v, want something about %s", err, c.fault)
			}
		})
	}
}

func TestOrder_IsInForceUntilItsEnd(t *testing.T) {
	for name, c := range map[string]struct {
		order visit.Order
		want  bool
	}{
		"without an end":                {visit.Order{}, true},
		"before its end":                {visit.Order{Until: noon.Add(1)}, true},
		"at its end":                    {visit.Order{Until: noon}, false},
		"after its end":                 {visit.Order{Until: noon.Add(-1)}, false},
		"given by a clock that is fast": {visit.Order{Since: noon.Add(time.Minute)}, true},
	} {
		if c.order.InForce(noon) != c.want {
			t.Errorf("%s: in force is %v", name, !c.want)
		}
	}
}
