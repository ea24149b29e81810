package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/.ci/lib/process"
	"github.com/sine-relay/sine-relay/visit"
)

// arrived is an event at the end of a recipe.
type arrived struct {
	id, body string
	headers  map[string]string
}

// recipe is a configuration of the page, and what came of it.
type recipe struct {
	name    string
	arrived func() []arrived
	check   func(arrived) error
	// hold keeps the output from taking anything, until the function that it returns is
	// called.
	hold func() (release func())
}

// recipes runs the configurations of a page: each takes every event out of the stream,
// though the receiver refuses at first and Bento is killed in between.
func (r *rig) recipes(page string) error {
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	receiver := newReceiver()
	defer receiver.Close()
	broker, address, err := r.startBroker()
	if err != nil {
		return err
	}
	stored, err := r.stored()
	if err != nil {
		return err
	}
	env := []string{"NATS_ADDRESS=" + r.address, "NATS_USER=consumer", "NATS_PASSWORD=" + password, "RECEIVER_URL=" + receiver.URL + "/http",
		"S3_ENDPOINT=" + receiver.URL, "S3_REGION=eu-central-1", "S3_ID=id", "S3_SECRET=secret", "KAFKA=" + address}
	for _, one := range []recipe{
		{"http", func() []arrived { return receiver.under("/http") }, hasAttributes, receiver.refuse},
		{"s3", func() []arrived { return receiver.under("/visitor-events/") }, hasNoMetadata, receiver.refuse},
		{"kafka", func() []arrived { return records(broker) }, hasAttributes, broker.Pause},
	} {
		if err := r.cook(one, string(text), env, stored); err != nil {
			return fmt.Errorf("recipe %s: %w", one.name, err)
		}
		fmt.Printf("bento: %d events are in %s, none before it has them is acknowledged\n", len(stored), one.name)
	}
	return nil
}

// cook runs one recipe until the output has every event.
func (r *rig) cook(one recipe, page string, env []string, stored map[string]string) error {
	text, err := configuration(page, "input", one.name)
	if err := errors.Join(err, r.makeDurable()); err != nil {
		return err
	}
	config := r.path(one.name + ".yaml")
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	release := one.hold()
	defer release()
	p, err := r.launch("bento-"+one.name, env, "bento", "-c", config)
	if err != nil {
		return err
	}
	if err := r.delivered(); err != nil {
		return err
	}
	if info, err := r.durable(); err != nil || info.AckFloor.Consumer > 0 {
		return fmt.Errorf("an event is acknowledged before the output has it %w", err)
	}
	p.End(syscall.SIGKILL)
	release()
	if p, err = r.launch("bento-"+one.name, env, "bento", "-c", config); err != nil {
		return err
	}
	err = process.Await("every event has arrived", 40*time.Second, func() bool { return len(byID(one.arrived())) >= len(stored) && r.acknowledged() })
	return errors.Join(err, p.End(syscall.SIGTERM), verify(one, stored))
}

// verify holds what arrived against what is stored.
func verify(one recipe, stored map[string]string) error {
	all := byID(one.arrived())
	if len(all) != len(stored) {
		return fmt.Errorf("%d events have arrived, not %d", len(all), len(stored))
	}
	for id, a := range all {
		if a.body != stored[id] {
			return fmt.Errorf("the body of %s is %.200q, not %.200q", id, a.body, stored[id])
		}
		if err := one.check(a); err != nil {
			return fmt.Errorf("%s: %w", id, err)
		}
	}
	return nil
}

func byID(all []arrived) map[string]arrived {
	found := map[string]arrived{}
	for _, a := range all {
		found[a.id] = a
	}
	return found
}

// hasAttributes wants the CloudEvents attributes beside the body, under their names or
// those of HTTP.
func hasAttributes(a arrived) error {
	var e visit.Event
	if err := json.Unmarshal([]byte(a.body), &e); err != nil {
		return err
	}
	for name, want := range map[string]string{visit.HeaderSpecVersion: "1.0", visit.HeaderType: visit.EventType(e.Kind), visit.HeaderSource: visit.EventSource(e.Site, e.Integration)} {
		if a.headers[name] != want {
			return fmt.Errorf("%s is %q, not %q", name, a.headers[name], want)
		}
	}
	return nil
}

func hasNoMetadata(a arrived) error {
	for name := range a.headers {
		if strings.HasPrefix(name, "x-amz-meta-") {
			return fmt.Errorf("it has the metadata %s", name)
		}
	}
	return nil
}

// configuration joins blocks of a page, each of which begins with its name.
func configuration(page string, names ...string) (string, error) {
	var b strings.Builder
	for _, name := range names {
		m := regexp.MustCompile("(?s)```yaml\n# " + name + `\.yaml\n(.*?)` + "```").FindStringSubmatch(page)
		if m == nil {
			return "", fmt.Errorf("the page has no %s.yaml", name)
		}
		b.WriteString(m[1])
	}
	return b.String(), nil
}

// stored are the events of site hq in the stream, by their ids.
func (r *rig) stored() (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	all := map[string]string{}
	reader, err := r.js.OrderedConsumer(ctx, "VISITORS", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"visitors.v1.event.hq.>"}})
	if err != nil {
		return nil, err
	}
	batch, err := reader.FetchNoWait(1000)
	if err != nil {
		return nil, err
	}
	for m := range batch.Messages() {
		all[m.Headers().Get(visit.HeaderID)] = string(m.Data())
	}
	return all, batch.Error()
}

// startBroker starts a Kafka in memory.
func (r *rig) startBroker() (*process.Process, string, error) {
	p, err := r.launch("kafka", nil, "kafka", "visitor-events")
	if err != nil {
		return nil, "", err
	}
	err = process.Await("the broker listens", 20*time.Second, func() bool { return strings.Contains(p.Printed(), "\n") })
	return p, strings.TrimSpace(p.Printed()), err
}

// records are those that the broker has printed.
func records(broker *process.Process) (all []arrived) {
	for text := range strings.Lines(broker.Printed()) {
		var record struct {
			Headers map[string]string
			Value   string
		}
		if strings.HasSuffix(text, "\n") && json.Unmarshal([]byte(text), &record) == nil {
			all = append(all, arrived{record.Headers[visit.HeaderID], record.Value, record.Headers})
		}
	}
	return all
}
