package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
)

// commandLine runs the commands of nats that a page shows.
func (r *rig) commandLine(page string) error {
	commands, err := natsCommands(page)
	if err != nil {
		return err
	}
	for _, c := range commands {
		switch {
		case strings.Contains(c, " reply "):
			err = r.replies(c)
		case strings.Contains(c, " consumer next "):
			err = r.prints(c)
		default:
			_, err = r.run(r.shell(), "sh", "-c", c)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c, err)
		}
	}
	if len(commands) < 3 {
		return fmt.Errorf("%s has only %d commands", page, len(commands))
	}
	fmt.Printf("nats: the %d commands of %s decide and receive\n", len(commands), page)
	return nil
}

var natsCommand = regexp.MustCompile(`(?m)^nats .*$`)

func natsCommands(page string) ([]string, error) {
	text, err := os.ReadFile(page)
	return natsCommand.FindAllString(string(text), -1), err
}

// shell has what the page's reader has set.
func (r *rig) shell() []string {
	return []string{"PATH=" + r.programs + ":" + os.Getenv("PATH"), "NATS_URL=" + r.address, "PASSWORD=" + password, "ADMIN_PASSWORD=" + password}
}

// replies wants that a command decides.
func (r *rig) replies(command string) error {
	p, err := r.launch("reply", r.shell(), "sh", "-c", "exec "+command)
	if err != nil {
		return err
	}
	err = r.answers(p)
	if err == nil && !p.Running() {
		err = errors.New("it ended")
	}
	return errors.Join(err, p.End(syscall.SIGTERM))
}

// prints wants that a command prints two events, and others when it is run again.
func (r *rig) prints(command string) error {
	if err := r.makeDurable(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for range 2 {
		out, err := r.run(r.shell(), "sh", "-c", command)
		if err != nil {
			return err
		}
		for _, m := range regexp.MustCompile(`(?m)^\s*ce-id: (\S+)`).FindAllStringSubmatch(out, -1) {
			seen[m[1]] = true
		}
	}
	if len(seen) != 4 {
		return fmt.Errorf("%d events were printed", len(seen))
	}
	return nil
}
