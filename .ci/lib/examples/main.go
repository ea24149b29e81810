// Command examples runs the examples for other languages against the relay, as their users
// would: with the accounts of deploy/nats, each example as the user that it is meant for.
//
//	examples PROGRAMS TYPESCRIPT
//
// PROGRAMS is a folder with sine-relay, nats-server and nats; TYPESCRIPT is one with the
// compiled examples of examples/typescript. PYTHONPATH is where those of examples/python
// find nats-py, or what stands in for it.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: examples PROGRAMS TYPESCRIPT")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "examples:", err)
		os.Exit(1)
	}
}

func run(programs, typescript string) error {
	r, err := newRig(programs)
	if err != nil {
		return err
	}
	node := func(name string) example {
		return example{name: name + ".ts", words: []string{"node", filepath.Join(typescript, name+".js")}}
	}
	python := func(name string) example {
		return example{name: name + ".py", words: []string{"python3", filepath.Join("examples/python", name+".py")}}
	}
	for _, step := range []func() error{
		func() error { return r.decides(node("decider")) },
		func() error { return r.decides(python("decider")) },
		func() error { return r.receives(node("consumer")) },
		func() error { return r.receives(python("consumer")) },
		func() error { return r.receivesSince(node("consumer")) },
		func() error { return r.cloudEvents(node("cloudevents")) },
		func() error { return r.commandLine("docs/other-languages.md") },
		func() error { return r.recipes("docs/recipes.md") },
	} {
		if err = step(); err != nil {
			err = fmt.Errorf("%w\n%s", err, r.logs())
			break
		}
	}
	return errors.Join(err, r.close())
}

// example is a program of some language, and the command that starts it.
type example struct {
	name  string
	words []string
}
