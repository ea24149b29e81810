// Command power cuts the power of a disk under running relays: ext4 or xfs, on a loop
// device, on a disk that keeps in memory what was not flushed, and loses it. It compares
// what was acknowledged before each cut with what is there after it.
//
//	power -programs DIR [-fs ext4|xfs] [-loss all|random] [SCENARIO...] [CUTS]
//
// DIR is a folder with sine-relay, nats-server and disk (of .ci/lib/power/disk);
// everything else that is written is in it, too. It runs as root, in a mount namespace
// of its own. It ends with 1 when something is missing that the documentation does not
// let be lost, with 2 on a wrong command line, and with 3 where the power of a disk
// cannot be cut on this machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// Exit codes.
const (
	failed      = 1
	usage       = 2
	unavailable = 3
)

func main() {
	programs := flag.String("programs", "", "the folder with the programs")
	system := flag.String("fs", "", "ext4 or xfs; both in turn without it")
	loss := flag.String("loss", "", "all, or random: a part of what was not flushed; both in turn without it")
	flag.Usage = printUsage
	flag.Parse()
	p := plan{systems: []string{"ext4", "xfs"}, losses: []string{"all", "random"}, cuts: 10}
	if !choose(&p.systems, *system) || !choose(&p.losses, *loss) || *programs == "" || !p.read(flag.Args()) {
		flag.Usage()
		os.Exit(usage)
	}
	p.programs = *programs
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := p.run(ctx)
	stop()
	os.Exit(code)
}

func printUsage() {
	fmt.Fprintln(flag.CommandLine.Output(), "usage: power [options] [SCENARIO...] [CUTS]")
	flag.PrintDefaults()
	for _, s := range scenarios {
		fmt.Fprintf(flag.CommandLine.Output(), "  %-16s %s\n", s.name, s.about)
	}
}

// choose narrows what is in turn down to one, unless none is named.
func choose(all *[]string, one string) bool {
	if one == "" {
		return true
	}
	known := slices.Contains(*all, one)
	*all = []string{one}
	return known
}
