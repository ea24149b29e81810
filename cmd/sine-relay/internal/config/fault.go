package config

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// Fault is one thing that is wrong.
type Fault struct {
	// Where is a variable, a file, or a place in one.
	Where string
	// What is wrong and what would be right. It never holds a secret.
	What string
}

func (f Fault) String() string { return f.Where + ": " + f.What }

// Faults is everything that is wrong.
type Faults []Fault

// Error has a line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = "  " + fault.String()
	}
	return strings.Join(lines, "\n")
}

func (f *Faults) add(where, format string, args ...any) {
	*f = append(*f, Fault{where, fmt.Sprintf(format, args...)})
}

// setting adds a fault of a variable, by its name without the prefix.
func (f *Faults) setting(name, format string, args ...any) { f.add(Prefix+name, format, args...) }

// unreadable adds that a file or directory cannot be read. It leaves the path
// out: an operator may have put the secret itself where its file's name belongs.
func (f *Faults) unreadable(name string, err error) {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = at.Err
	}
	f.setting(name, "what it names cannot be read: %v", err)
}
