package condition

import (
	"fmt"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/ext"
)

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
