package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// checkNATS prints what a look at NATS brings to light. Nothing is created there,
// and no visitor comes of it.
func checkNATS(ctx context.Context, in invocation, s config.Settings) int {
	if s.NATSURL == "" {
		fmt.Fprintln(in.err, "sine-relay config check: --connect is for an existing NATS; the embedded one runs within serve alone")
		return exitUsage
	}
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	found, err := broker.Examine(ctx, brokerConfig(s, nil, nil, nil))
	v := verification{out: in.out}
	v.report("NATS: connected", err)
	if err != nil {
		return exitFailed
	}
	fmt.Fprintln(in.out, "        ", printable(found.Server))
	if found.AsksNobody {
		fmt.Fprintln(in.out, "warning: "+broker.AsksNobody)
	} else {
		v.report("NATS asks who connects", nil)
	}
	for _, stream := range found.Streams {
		v.report("stream "+stream.Name+" is fit", errors.Join(stream.Fault, stream.Pending))
		for _, line := range stream.Drift {
			fmt.Fprintln(in.out, "warning:", printable(line))
		}
	}
	v.report("no stream takes check-in requests", found.Requests)
	v.rehearse(ctx, s)
	if v.failed {
		return exitFailed
	}
	return exitOK
}
