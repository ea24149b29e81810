package fields

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Ways in which other tools write a step of a path: data.forms.0.x, forms[0], forms[*],
// ['key'], $, # and {key}. A dot may be in a key as well, so one counts only behind the
// object that every body has, and beside a number.
var (
	dottedData  = regexp.MustCompile(`^(?i:\$|data)\.`)
	dottedIndex = regexp.MustCompile(`\.(?:[0-9]+|\*)(?:\.|$)`)
	bracketed   = regexp.MustCompile(`^[^\[\]]*(?:\[(?:[0-9]+|\*|'[^']*'|"[^"]*")\])+(?:\..*)?$`)
	braced      = regexp.MustCompile(`^\{+ ?[A-Za-z0-9_.-]+ ?\}+$`)
)

var otherSyntax = strings.NewReplacer("['", "/", "']", "", `["`, "/", `"]`, "", "[]", "/*", "[", "/", "]", "", ".", "/", "$", "", "#", "", "{", "", "}", "")

// meant is a step of a pointer as somebody meant it who knows the paths of another tool.
func meant(written string, first bool) string {
	switch {
	case !strings.ContainsAny(written, "$#.[{"): // nearly all
		return written
	case first && (written == "$" || written == "#" || dottedData.MatchString(written)),
		dottedIndex.MatchString(written), bracketed.MatchString(written), braced.MatchString(written):
		return otherSyntax.Replace(written)
	default:
		return written
	}
}

// slip says what is wrong with a pointer that would lead nowhere in any body.
func slip(text string) error {
	steps := strings.Split(text[1:], "/")
	meantSteps := make([]string, len(steps))
	for i, step := range steps {
		meantSteps[i] = meant(step, i == 0)
	}
	proposal := asPointer(strings.Join(meantSteps, "/"))
	switch {
	case proposal == "/":
		return fmt.Errorf("must be a JSON pointer such as /data/company, and has no key")
	case slices.Contains(steps, ""):
		return fmt.Errorf("has a \"/\" without a key behind it; did you mean %s?", strconv.Quote(proposal))
	case !slices.Equal(steps, meantSteps):
		return fmt.Errorf("is a path as other tools write it; did you mean %s? For a dot within a key, write _", strconv.Quote(proposal))
	}
	return nil
}

// Writable is a pointer of exact keys as a specification takes it: where a dot in a key would
// be taken for a step of another tool's path, it is written as another separator.
func Writable(place string) string {
	if !strings.HasPrefix(place, "/") {
		return place
	}
	steps := strings.Split(place[1:], "/")
	for i, step := range steps {
		if meant(step, i == 0) != step {
			steps[i] = strings.ReplaceAll(step, ".", "_")
		}
	}
	return "/" + strings.Join(steps, "/")
}

// suggestPointer makes a pointer of a path as other tools write it: data.company,
// $.data.items[0].
func suggestPointer(text string) string { return strconv.Quote(asPointer(otherSyntax.Replace(text))) }

// asPointer leaves the steps of a path that are not empty.
func asPointer(path string) string {
	return "/" + strings.Join(strings.FieldsFunc(path, func(r rune) bool { return r == '/' || r == ' ' }), "/")
}

// literalPointer is a text of a template that was meant to belong to a place.
var literalPointer = regexp.MustCompile(`^/[A-Za-z]|^/.*/$`)

// slipOfTemplate says what is wrong with the texts of a template.
func slipOfTemplate(text string, texts []string) error {
	for i, literal := range texts {
		if literalPointer.MatchString(literal) {
			what := "before \"{\""
			if i > 0 {
				what = "behind \"}\""
			}
			return fmt.Errorf("has the text %q %s, which would be in the value; a place has all of its pointer in braces, or no braces, as in %s",
				literal, what, suggestPointer(text))
		}
	}
	return nil
}
