package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	key = "key-of-the-power-check"
	// startTimeout is beyond the 15 s for which a relay waits for its NATS.
	startTimeout = 40 * time.Second
)

// relay is a relay in one of its lives.
type relay struct {
	*process
	key, program string
	began        time.Time

	mu                   sync.Mutex
	webhook, admin, nats string
}

// newRelay is the command of a relay whose ports the kernel chooses.
func newRelay(program, verb string, settings ...string) *exec.Cmd {
	cmd := exec.Command(program, verb)
	cmd.Env = environment(append(settings, "LISTEN=127.0.0.1:0", "ADMIN_LISTEN=127.0.0.1:0", "DRAIN_DELAY=0s", "LOG_FORMAT=json", "LOG_LEVEL=info")...)
	return cmd
}

func environment(settings ...string) []string {
	all := []string{"PATH=" + os.Getenv("PATH"), "HOME=/"}
	for _, s := range settings {
		all = append(all, "SINE_RELAY_"+s)
	}
	return all
}

// listens returns once the relay has logged where it listens.
func (r *relay) listens(ctx context.Context) error {
	err := await(ctx, "the relay listens", startTimeout, func() bool { return r.announced() || !r.running() })
	if err == nil && !r.announced() {
		err = errors.New("the relay ended")
	}
	return err
}

// announced reads the addresses from the line that the relay logs at its start.
func (r *relay) announced() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.webhook != "" {
		return true
	}
	log, err := os.Open(r.log)
	if err != nil {
		return false
	}
	defer log.Close()
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var start struct{ Msg, Listen, Admin, NATS string }
		if json.Unmarshal(lines.Bytes(), &start) == nil && start.Msg == "sine-relay" {
			r.webhook, r.admin = "http://"+start.Listen+"/sine/default", "http://"+start.Admin
			r.nats = embeddedURL(start.NATS)
			return true
		}
	}
	return false
}

// embeddedURL is the address of an embedded NATS, which the log has between two commas.
func embeddedURL(text string) string {
	parts := strings.Split(text, ", ")
	if len(parts) < 2 {
		return ""
	}
	return parts[1]
}

// ready returns once the relay is.
func (r *relay) ready(ctx context.Context) error {
	err := r.listens(ctx)
	if err == nil {
		err = await(ctx, "the relay is ready", startTimeout, func() bool { return r.get("/readyz", io.Discard) == nil || !r.running() })
	}
	if err == nil && !r.running() {
		err = errors.New("the relay ended")
	}
	return err
}

var admin = &http.Client{Timeout: 5 * time.Second}

func (r *relay) get(path string, to io.Writer) error {
	response, err := admin.Get(r.admin + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is answered %d", path, response.StatusCode)
	}
	_, err = io.Copy(to, response.Body)
	return err
}

// idle reports whether it is connected to NATS, and nothing waits in its spool.
func (r *relay) idle() bool {
	connected, waiting := r.metric("sine_relay_nats_connected"), r.metric("sine_relay_spool_messages")
	return len(connected) > 0 && !slices.Contains(connected, 0) && slices.Equal(waiting, []float64{0})
}

// metric returns the values of a metric, one for each of its labels; none while the
// relay does not answer.
func (r *relay) metric(name string) []float64 {
	var text strings.Builder
	if r.get("/metrics", &text) != nil {
		return nil
	}
	return values(text.String(), name)
}

func values(metrics, name string) (all []float64) {
	for line := range strings.Lines(metrics) {
		words := strings.Fields(line)
		if series, _, _ := strings.Cut(line, "{"); len(words) < 2 || series != name && words[0] != name {
			continue
		}
		if v, err := strconv.ParseFloat(words[len(words)-1], 64); err == nil {
			all = append(all, v)
		}
	}
	return all
}

// as is how another program signs in to the embedded NATS of a directory.
func as(user, dir string) (name, password string, err error) {
	content, err := os.ReadFile(filepath.Join(dir, "nats-passwords", user))
	return user, strings.TrimSpace(string(content)), err
}

// listSpool returns the ids of the events of a spool that no relay has open.
func listSpool(program, dir string) (ids []string, err error) {
	cmd := exec.Command(program, "spool", "ls", "--dir", dir, "--output", "json")
	cmd.Env = environment()
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		errors.As(err, &exit)
		return nil, fmt.Errorf("spool ls: %w: %s", err, exit.Stderr)
	}
	var list struct {
		Messages []struct{ ID, Subject string }
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, fmt.Errorf("spool ls: %w", err)
	}
	for _, m := range list.Messages {
		if strings.Contains(m.Subject, ".event.") {
			ids = append(ids, m.ID)
		}
	}
	return ids, nil
}
