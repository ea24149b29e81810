package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// playOperator runs every command of an operator, and all of them again once they
// were run: one operator may have deleted what another was about to read.
func playOperator(t *testing.T, s *theatre, day *day, user string) *part {
	said, running := &logtest.Buffer{}, newRunning(t)
	environ := environment(append(s.settings(user), "KEYS="+testKey, "INTEGRATIONS_FILE="+day.understanding)...)
	commands := operatorsCommands(s.quarantined(t, day), user)
	nc := s.connect(user)
	var busy atomic.Bool
	round := func(ctx context.Context) {
		defer busy.Store(false)
		for _, words := range commands {
			if ctx.Err() != nil {
				return
			}
			code, out, errOut := commandLine(environ, words...)
			fmt.Fprintf(said, "%v: %d\n%s%s\n", words, code, out, errOut)
		}
		_, err := nc.Request("$SRV.INFO", nil, 5*time.Second) // as nats micro ls does
		fmt.Fprintln(said, "micro ls:", err, nc.LastError())
	}
	again := func() {
		if busy.CompareAndSwap(false, true) {
			running.start(round)
		}
	}
	again()
	return &part{said: said.String, stop: running.stop, again: again}
}

func operatorsCommands(quarantined []string, site string) [][]string {
	var all [][]string
	for _, line := range []string{
		"lockdown --wait 2s --message Fire --unknown-site --site " + site, "lockdown lift --wait 2s --site " + site,
		"override --wait 2s --accept --for 1m --reason test --unknown-site --site " + site, "override lift --wait 2s --site " + site,
		"orders", "deciders", "ask", "explain 22222", "visits", "quarantine ls",
		"quarantine show " + quarantined[0], "quarantine replay --submit " + strings.Join(quarantined, " "),
		"quarantine replay --submit --delete " + quarantined[0],
	} {
		all = append(all, strings.Fields(line))
	}
	return all
}

// quarantined sends one check-in and one check-out that only the day's settings
// understand, and returns their numbers.
func (s *theatre) quarantined(t *testing.T, day *day) []string {
	t.Helper()
	var numbers []string
	js := s.JetStream(asUser("admin"))
	for _, event := range []string{"visitor_arrived", "visitor_left"} {
		day.relay.must(200, "REJECTED", webhook(event, noon, "Ada"))
		stream, err := js.Stream(t.Context(), visit.DefaultQuarantineStream)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, fmt.Sprint(stream.CachedInfo().State.LastSeq))
	}
	return numbers
}

// understanding writes settings that know the events' new names.
func understanding(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "integrations.yaml")
	if err := os.WriteFile(file, []byte("defaults: {kindAliases: {visitor_arrived: checked_in, visitor_left: checked_out}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// playAdmin makes a stream again, which changes nothing, and looks at its messages one
// after the other, as nats stream view does.
func playAdmin(t *testing.T, s *theatre, _ *day, user string) *part {
	said, running := &logtest.Buffer{}, newRunning(t)
	nc := s.connect(user)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := streamFiles(t)[visit.DefaultEventStream]
	cfg.Replicas = 1
	running.start(func(ctx context.Context) {
		_, err := js.CreateStream(ctx, cfg)
		fmt.Fprintln(said, "made:", err, nc.LastError())
		pager, err := js.CreateConsumer(ctx, cfg.Name, jetstream.ConsumerConfig{AckPolicy: jetstream.AckExplicitPolicy, InactiveThreshold: time.Minute})
		if err != nil {
			fmt.Fprintln(said, "page:", err)
			return
		}
		message, err := pager.Next(jetstream.FetchMaxWait(10 * time.Second))
		if err == nil {
			err = message.DoubleAck(ctx)
		}
		fmt.Fprintln(said, "page:", err, nc.LastError())
	})
	return &part{said: said.String, stop: running.stop, again: func() {}}
}

// playDesk reads what a web page for the desk shows, and gives orders by the
// commands.
func playDesk(t *testing.T, s *theatre, day *day, user string) *part {
	said, running := &logtest.Buffer{}, newRunning(t)
	environ := environment(append(s.settings(user), "KEYS="+testKey)...)
	nc := s.connect(user)
	var busy atomic.Bool
	round := func(ctx context.Context) {
		defer busy.Store(false)
		for _, stream := range []string{visit.DefaultEventStream, visit.DefaultDecisionStream} {
			_, err := nc.Request("$JS.API.DIRECT.GET."+stream, []byte(`{"seq":1}`), 5*time.Second)
			fmt.Fprintln(said, "read", stream, err, nc.LastError())
		}
		for _, line := range []string{
			"lockdown --message Fire --unknown-site --site " + user, "lockdown lift --site " + user,
			"override --accept --for 1m --reason test --unknown-site --site " + user, "override lift --site " + user,
			"orders", "deciders",
		} {
			if ctx.Err() != nil {
				return
			}
			code, out, errOut := commandLine(environ, strings.Fields(line)...)
			fmt.Fprintf(said, "%s: %d\n%s%s\n", line, code, out, errOut)
		}
	}
	again := func() {
		if busy.CompareAndSwap(false, true) {
			running.start(round)
		}
	}
	again()
	return &part{said: said.String, stop: running.stop, again: again}
}
