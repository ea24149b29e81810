//go:build linux

// Command attacks fills a relay with what costs it memory, and measures what that
// costs an honest caller: the real program, as the chart runs it, with a NATS of
// its own, and attackers in a process of their own, all on loopback. See
// .ci/attacks.
//
// It prints one table in Markdown, and ends with 1 where a bound is broken: the
// relay's resident memory reaches the chart's limit, an honest call fails, or more
// connections are open than may be. How long something takes is only reported: on
// a machine that others share, the ratio within one run is all that it says.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// memoryLimit is the chart's, and collectorLimit what it has Go keep below.
const (
	memoryLimit    = 256 << 20
	collectorLimit = memoryLimit / 10 * 9
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if len(os.Args) == 3 && os.Args[1] == "attacker" {
		err = attack(ctx, os.Args[2])
	} else {
		err = run(ctx, os.Args[1:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "attacks:", err)
		os.Exit(1)
	}
}

type options struct {
	relay, nats string
	short       bool
	only        *regexp.Regexp
	alone       time.Duration
}

func readOptions(args []string) (options, error) {
	f := flag.NewFlagSet("attacks", flag.ContinueOnError)
	o := options{}
	f.StringVar(&o.relay, "relay", "", "the relay's binary")
	f.StringVar(&o.nats, "nats", "", "the NATS server's binary")
	f.BoolVar(&o.short, "short", false, "fewer attackers, for a few seconds each")
	only := f.String("only", "", "attacks whose names match")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if o.relay == "" || o.nats == "" {
		return o, errors.New("name the binaries: -relay and -nats")
	}
	o.alone = 10 * time.Second
	if o.short {
		o.alone = 2 * time.Second
	}
	var err error
	o.only, err = regexp.Compile(*only)
	return o, err
}

func run(ctx context.Context, args []string) error {
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return err
	}
	fmt.Printf("Memory of the relay at its highest, limit %d MiB: what the kernel cannot take back, the program, and in brackets all that was resident; an honest caller's p50 and p99; load of the machine before: %s\n\n%s",
		memoryLimit>>20, strings.Join(strings.Fields(string(load))[:3], " "), heading)
	var broken []error
	for _, a := range assaults(o.short) {
		if !o.only.MatchString(a.Name) {
			continue
		}
		r, err := o.carryOut(ctx, a)
		if err != nil {
			return fmt.Errorf("%s: %w", a.Name, err)
		}
		fmt.Print(r.row())
		broken = append(broken, r.broken()...)
	}
	return errors.Join(broken...)
}

// carryOut measures one attack on a relay of its own.
func (o options) carryOut(ctx context.Context, a assault) (r result, err error) {
	s, err := startStage(ctx, o, a)
	if err != nil {
		return r, err
	}
	defer s.end()
	r.assault = a
	caller := newHonest(s.webhook(honestLobby), keyOf(honestLobby))
	begun, err := s.relay.memory()
	if err != nil {
		return r, err
	}
	watch := s.relay.watch(begun.files)
	r.alone = caller.call(ctx, o.alone)
	if r.memoryAlone, _, err = watch.highest(); err != nil {
		return r, err
	}
	watch = s.relay.watch(begun.files)
	attackers, err := s.attack(ctx, a)
	if err != nil {
		return r, err
	}
	r.attacked = caller.call(ctx, a.For)
	r.open = s.openConnections()
	if r.memory, r.resident, err = watch.highest(); err != nil {
		return r, errors.Join(err, fmt.Errorf("the relay ended:\n%s", s.relay.tail()))
	}
	r.attackers, err = attackers.report()
	return r, err
}

func mustJSON(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // only plain structs come here
	}
	return string(text)
}
