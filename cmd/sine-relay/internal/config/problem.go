package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Problem is one thing that is wrong, or, as a warning, allowed and probably not meant.
type Problem struct {
	// Where is a variable, a file, or a line of one.
	Where string
	// Of is what it concerns, as in "integration lobby", or empty.
	Of string
	// What is wrong and what would be right. It never holds a secret. Where it is
	// the same for many, it has the same text, so that they are shown as one.
	What string
}

func (f Problem) String() string {
	if f.Of == "" {
		return f.Where + ": " + f.What
	}
	return f.Where + ": " + f.Of + ": " + f.What
}

// location distinguishes problems that have the same text.
func (f Problem) location() string {
	if f.Of == "" {
		return f.Where
	}
	return f.Where + " (" + strings.TrimPrefix(f.Of, integrationOf("")) + ")"
}

// integrationOf is how an integration is named as what a problem concerns.
func integrationOf(name string) string { return "integration " + name }

// Problems is everything that is wrong.
type Problems []Problem

// shownPlaces are named of those that have the same problem; more are counted.
const shownPlaces = 4

// Lines has a line for each problem, and one for all that differ in their place alone.
func (f Problems) Lines() (lines []string) {
	alike := map[string]Problems{}
	for _, problem := range f {
		alike[problem.What] = append(alike[problem.What], problem)
	}
	for _, problem := range f {
		same := alike[problem.What]
		delete(alike, problem.What)
		switch {
		case len(same) == 1:
			lines = append(lines, problem.String())
		case len(same) > 1:
			var places []string
			for _, one := range same {
				places = append(places, one.location())
			}
			lines = append(lines, shortened(places)+": "+problem.What)
		}
	}
	return lines
}

// shortened is a list of which the first few are named.
func shortened(list []string) string {
	if more := len(list) - shownPlaces; more > 0 {
		list = append(list[:shownPlaces:shownPlaces], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ", ")
}

// Error has the lines, each indented.
func (f Problems) Error() string { return "  " + strings.Join(f.Lines(), "\n  ") }

func (f *Problems) add(where, format string, args ...any) { f.about(where, "", format, args...) }

// about adds a problem of something that has a name.
func (f *Problems) about(where, of, format string, args ...any) {
	*f = append(*f, Problem{where, of, fmt.Sprintf(format, args...)})
}

// setting adds a problem of a variable, by its name without the prefix.
func (f *Problems) setting(name, format string, args ...any) { f.add(Prefix+name, format, args...) }

// unreadable adds that a file or directory cannot be read. It leaves the path
// out: an operator may have put the secret itself where its file's name belongs.
func (f *Problems) unreadable(name string, err error) {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	f.setting(name, "cannot read the file: %v", err)
}
