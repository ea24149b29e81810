// Command commands runs every nats and sine-relay command that the pages name, as the
// user that it is meant for, against a NATS with the accounts of deploy/nats, a relay
// and a decider. A command that fails, that NATS does not permit to its user, or for
// which it is not known how to run it, is a fault.
//
// A nats command says by --context or --user whose it is. One of sine-relay is the
// operator's where it is one of theirs, and else the relay's own. What stands behind
// kubectl exec is run with the relay's settings; kubectl, helm and docker themselves
// are not.
//
//	commands FOLDER-OF-PROGRAMS PAGE...
package main

import (
	"fmt"
	"os"
	"regexp"
)

func main() {
	if len(os.Args) < 3 {
		fmt.Fprintln(os.Stderr, "usage: commands PROGRAMS PAGE...")
		os.Exit(2)
	}
	faults, err := check(os.Args[1], os.Args[2:])
	for _, fault := range faults {
		fmt.Fprintln(os.Stderr, fault)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "commands:", err)
	}
	if err != nil || len(faults) > 0 {
		os.Exit(1)
	}
}

// ordering are the commands that give an order, or for which one is given.
var ordering = regexp.MustCompile(`lockdown|override|KV_VISITOR_ORDERS`)

// check returns what is wrong with the pages' commands.
func check(programs string, pages []string) (faults []string, err error) {
	var all []command
	for _, page := range pages {
		found, err := extract(page)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	s, err := build(programs)
	if err != nil {
		return nil, err
	}
	defer s.close()
	ran, orders := map[command]bool{}, false
	for n, c := range all {
		if orders && all[n-1].page != c.page {
			if err := s.noOrders(); err != nil {
				return faults, err
			}
			orders = false
		}
		same := command{text: c.text, inline: c.inline} // whose user does not depend on the page
		order := ordering.MatchString(c.text)
		if ran[same] && !order {
			continue
		}
		ran[same], orders = true, orders || order
		if err := s.run(c); err != nil {
			faults = append(faults, fmt.Sprintf("%s:%d: %s\n  %v", c.page, c.line, c.text, err))
		}
	}
	if len(ran) < 60 {
		faults = append(faults, fmt.Sprintf("only %d commands were found", len(ran)))
	}
	fmt.Printf("%d commands of %d pages were run, %d have faults\n", len(ran), len(pages), len(faults))
	return faults, nil
}
