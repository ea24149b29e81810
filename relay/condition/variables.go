package condition

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/ext"

	"github.com/sine-relay/sine-relay/visit"
)

// variable is a name that an expression may use.
type variable struct {
	name    string
	kind    *cel.Type
	meaning string
	// read returns its value, which may be one of CEL's errors.
	read func(*Visitor) ref.Val
	// form reports whether a text can be a value at all. It is nil where
	// any text can.
	form func(string) bool
}

// The time is three texts of fixed width that are written as they are read and
// compare as they follow one another. CEL's timestamps are UTC unless each use
// names a zone, count months from 0 and days from Sunday; and numbers for hour
// and minute invite "hour >= 17 && minute >= 30", which is false at 18:10.
var variables = []variable{
	sent("visitorType", "type of the visitor", func(v *Visitor) string { return v.Pass.VisitorType }),
	sent("company", "company of the visitor", func(v *Visitor) string { return v.Pass.Company }),
	sent("firstName", "first name of the visitor", func(v *Visitor) string { return v.Pass.Person.FirstName }),
	sent("lastName", "last name of the visitor", func(v *Visitor) string { return v.Pass.Person.LastName }),
	sent("email", "email address of the visitor", func(v *Visitor) string { return v.Pass.Person.Email }),
	sent("host", "first and last name of the person who is visited", hostName),
	sent("hostGroup", "group of the person who is visited", hostGroup),
	{
		name: "answers", kind: cel.MapType(cel.StringType, cel.StringType), read: answers,
		meaning: "answers to the form's questions by their labels, the last of those with the same label; an error where Sine sent none, or one without a label; reading one that is not there, or is blank, is an error",
	},
	text("site", "name of the site", func(v *Visitor) string { return v.Site }),
	text("integration", "name of the integration", func(v *Visitor) string { return v.Integration }),
	clock("time", "time of day at the site, from `\"00:00\"` to `\"23:59\"`", "15:04", written("15:04")),
	clock("weekday", "day of the week at the site, from `\"Monday\"` to `\"Sunday\"`", "Monday", isWeekday),
	clock("date", "date at the site, as in `\"2026-12-25\"`", time.DateOnly, written(time.DateOnly)),
}

// Docs is the table of variables, in Markdown.
func Docs() string {
	var b strings.Builder
	b.WriteString("| Variable | Type | Meaning |\n|---|---|---|\n")
	for _, v := range variables {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.name, v.kind, v.meaning)
	}
	return b.String()
}

// unsent means that Sine did not send what an expression reads.
type unsent string

func (e unsent) Error() string { return string(e) }

// sent is a variable that Sine may leave out. Reading it is an error then: a
// field that an account does not send must not keep a decider from being asked. A
// blank text counts as not sent.
func sent(name, meaning string, read func(*Visitor) string) variable {
	v := text(name, meaning+"; an error where Sine sent none", read)
	readSent := v.read
	v.read = func(visitor *Visitor) ref.Val {
		if visit.IsBlank(read(visitor)) {
			return types.WrapErr(unsent("Sine sent no " + name))
		}
		return readSent(visitor)
	}
	return v
}

func text(name, meaning string, read func(*Visitor) string) variable {
	return variable{name: name, kind: cel.StringType, meaning: meaning, read: func(v *Visitor) ref.Val {
		return bounded(name, read(v))
	}}
}

// clock is a variable that shows the time by a layout of package time.
func clock(name, meaning, layout string, form func(string) bool) variable {
	v := text(name, meaning, func(v *Visitor) string { return v.Now.Format(layout) })
	v.form = form
	return v
}

// written returns a form: texts that are exactly what the layout writes.
func written(layout string) func(string) bool {
	return func(s string) bool {
		t, err := time.Parse(layout, s)
		return err == nil && t.Format(layout) == s
	}
}

func isWeekday(s string) bool {
	for d := time.Sunday; d <= time.Saturday; d++ {
		if d.String() == s {
			return true
		}
	}
	return false
}

func hostName(v *Visitor) string {
	if v.Pass.Host == nil {
		return ""
	}
	return strings.TrimSpace(v.Pass.Host.FirstName + " " + v.Pass.Host.LastName)
}

func hostGroup(v *Visitor) string {
	if v.Pass.Host == nil {
		return ""
	}
	return v.Pass.Host.Group
}

// answers are those of the form. Where none came nobody knows whether there is a
// form at all: a check-in request most likely carries none. And one that came
// without its label, or in another shape, may be the very one that is read.
func answers(v *Visitor) ref.Val {
	switch {
	case len(v.Pass.FormAnswers) == 0:
		return types.WrapErr(unsent("Sine sent no answers"))
	case v.UnreadAnswers:
		return types.WrapErr(unsent("Sine sent answers that are not of the known shape"))
	case len(v.Pass.FormAnswers) > maxAnswers:
		return types.WrapErr(tooMuch(fmt.Sprintf("there are more than %d answers", maxAnswers)))
	}
	byLabel := make(map[ref.Val]ref.Val, len(v.Pass.FormAnswers))
	for _, a := range v.Pass.FormAnswers {
		label := bounded("the label of an answer", a.Label)
		switch {
		case visit.IsBlank(a.Label):
			return types.WrapErr(unsent("Sine sent an answer without a label"))
		case types.IsError(label):
			return label
		case visit.IsBlank(a.Value):
			byLabel[label] = types.WrapErr(unsent("the answer is blank"))
		default:
			byLabel[label] = bounded("an answer", a.Value)
		}
	}
	return types.NewRefValMap(types.DefaultTypeAdapter, byLabel)
}

// activation gives one evaluation its variables. Each is read once, when it is
// first used.
type activation struct {
	visitor *Visitor
	values  []ref.Val
}

func newActivation(v *Visitor) *activation {
	return &activation{v, make([]ref.Val, len(variables))}
}

// ResolveName implements [cel.Activation].
func (a *activation) ResolveName(name string) (any, bool) {
	i := slices.IndexFunc(variables, func(v variable) bool { return v.name == name })
	if i < 0 {
		return nil, false
	}
	if a.values[i] == nil {
		a.values[i] = variables[i].read(a.visitor)
	}
	return a.values[i], true
}

// Parent implements [cel.Activation].
func (a *activation) Parent() cel.Activation { return nil }

// environment is the language: what an expression may name and call. It is made
// once, when the first expression is compiled.
//
// The libraries' versions are pinned, so that an update of cel-go does not change
// what an installation's expressions mean or cost.
var environment = sync.OnceValue(func() *cel.Env {
	options := []cel.EnvOption{
		cel.StdLib(cel.StdLibSubset(without(
			// The variables time, weekday and date stand in for them.
			"timestamp", "duration", "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek",
			"getDayOfYear", "getHours", "getMinutes", "getSeconds", "getMilliseconds",
			// It would put off to the visitor what the compiler can find.
			"dyn",
		))),
		ext.Strings(ext.StringsVersion(5)),
		// The length of its result is not estimated.
		cel.Function("format", cel.MemberOverload("string_format",
			[]*cel.Type{cel.StringType, cel.ListType(cel.DynType)}, cel.StringType), cel.DisableDeclaration(true)),
		cel.OptionalTypes(cel.OptionalTypesVersion(2)),
		cel.CostModelVersion(1),
		cel.ASTValidators(cel.ValidateHomogeneousAggregateLiterals(), cel.ValidateComprehensionNestingLimit(1)),
	}
	for _, v := range variables {
		options = append(options, cel.Variable(v.name, v.kind))
	}
	made, err := cel.NewCustomEnv(options...)
	if err != nil {
		panic(fmt.Sprintf("an option of this file is wrong: %v", err))
	}
	return made
})

// without is the standard library but for some functions.
func without(names ...string) *env.LibrarySubset {
	subset := env.NewLibrarySubset()
	for _, name := range names {
		subset.AddExcludedFunctions(env.NewFunction(name))
	}
	return subset
}
