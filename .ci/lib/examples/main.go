// Command examples runs the examples for other languages against the relay, as their users
// would: with the accounts of deploy/nats, each example as the user that it is meant for.
//
//	examples PROGRAMS TYPESCRIPT
//
// PROGRAMS is a folder with sine-relay, nats-server and nats; TYPESCRIPT is one with the
// compiled examples of examples/typescript.
package main

import (
	"errors"
	"fmt"
	"os"
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
	err = errors.Join(
		r.decides(decider{name: "decider.ts", seen: true, program: "node", words: []string{compiled(typescript, "decider")}}),
		r.receives(consumer{name: "consumer.ts", program: "node", words: []string{compiled(typescript, "consumer")}}),
		r.cloudEvents(compiled(typescript, "cloudevents")))
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, r.logs())
	}
	if closed := r.close(); err == nil {
		err = closed
	}
	return err
}
