package dev

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// nameUnasked reports once that a program waits on a subject on which nobody asks:
// it has another site than the relay, or its decider another name.
func (e *examples) nameUnasked(answered []string) {
	root := strings.TrimSuffix(e.subjects.All(visit.RootAsk), ">")
	for _, pattern := range answered {
		asked := slices.ContainsFunc(e.all, func(x *example) bool { return server.Covers(pattern, e.subjects.Ask(x.site, x.decider)) })
		if asked || e.unasked[pattern] || !strings.HasPrefix(pattern, root) {
			continue
		}
		e.unasked[pattern] = true
		fmt.Fprintf(e.demo.Stdout, "example   another program waits on %s, and no integration asks there; this relay asks on %s\n",
			terminal.Printable(pattern), strings.Join(e.asked(), ", "))
	}
}

// asked are the subjects of all check-in requests.
func (e *examples) asked() (all []string) {
	for _, x := range e.all {
		all = append(all, e.subjects.Ask(x.site, x.decider))
	}
	return all
}

// answered lists the subjects on which other programs answer.
func (e *examples) answered(ctx context.Context) (subjects []string, err error) {
	if e.demo.Embedded != nil {
		own, err := e.nc.GetClientID()
		if err != nil {
			return nil, err
		}
		return e.demo.Embedded.Answered(own)
	}
	found, _, err := e.demo.Broker.Deciders(ctx)
	for _, d := range found {
		if d.Version != exampleVersion {
			subjects = append(subjects, d.Subjects...)
		}
	}
	return subjects, err
}
