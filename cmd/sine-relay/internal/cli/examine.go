package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/visit"
)

// checkNATS prints what a look at NATS brings to light. Nothing is created there,
// and no visitor comes of it.
func checkNATS(ctx context.Context, in Process, s config.Settings) int {
	if s.NATSURL == "" {
		fmt.Fprintln(in.Stderr, "sine-relay config check: --connect is for an existing NATS; the embedded one runs within serve alone")
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	found, err := broker.Examine(ctx, server.BrokerConfig(s, nil, nil, nil))
	v := verification{out: in.Stdout}
	v.report("NATS: connected", err)
	if err != nil {
		return exitFailed
	}
	fmt.Fprintln(in.Stdout, "        ", terminal.Printable(found.Server))
	if found.AsksNobody {
		fmt.Fprintln(in.Stdout, "warning: "+broker.AsksNobody)
	} else {
		v.report("NATS asks who connects", nil)
	}
	for _, stream := range found.Streams {
		v.report("stream "+stream.Name+" is fit", errors.Join(stream.Fault, stream.Pending))
		for _, line := range stream.Drift {
			fmt.Fprintln(in.Stdout, "warning:", terminal.Printable(line))
		}
	}
	v.report("no stream takes check-in requests", found.Requests)
	for _, line := range unanswered(ctx, s).Lines() {
		fmt.Fprintln(in.Stdout, "warning:", terminal.Printable(line))
	}
	v.rehearse(ctx, s)
	if v.failed {
		return exitFailed
	}
	return exitOK
}

// unanswered are warnings for the deciders that nobody is seen to answer for. No
// check-in request is made.
func unanswered(ctx context.Context, s config.Settings) (warnings config.Problems) {
	found, discovery, err := broker.FindDeciders(ctx, server.BrokerConfig(s, nil, nil, nil))
	switch {
	case err != nil:
		return config.Problems{{Where: "deciders", What: "who answers is not known: " + err.Error()}}
	case discovery.Cut:
		return config.Problems{{Where: "deciders", What: "who answers is not known: " + discovery.String()}}
	}
	subjects := visit.Subjects{Prefix: s.SubjectPrefix}
	root := strings.TrimSuffix(subjects.All(visit.RootAsk), ">")
	var known []string
	for _, a := range answered(found, subjects) {
		known = append(known, strings.TrimPrefix(a.subject, root))
	}
	for n, i := range s.Integrations {
		if e := s.Entries[n]; len(e.Events) > 0 && !slices.Contains(e.Events, visit.KindCheckInRequest) {
			continue
		}
		for _, a := range askedBy(s.Integrations[n:n+1], subjects) {
			if len(server.AnsweringFor(found, a.subject)) > 0 {
				continue
			}
			warnings = append(warnings, config.Problem{
				Where: s.Entries[n].Where, Of: "integration " + i.Name + ", decider " + a.decider,
				What: "nobody is seen to answer its check-in requests" + config.DidYouMean(strings.TrimPrefix(a.subject, root), known) +
					"; a program that is not a NATS micro service is not seen: try it by sine-relay ask",
			})
		}
	}
	return warnings
}
