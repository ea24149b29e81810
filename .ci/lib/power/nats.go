package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/visit"
)

// server is an external NATS. It keeps its address over its lives.
type server struct {
	program, address string
	store            string
	sync             string // its sync_interval, or empty for the default
}

func newServer(program string) (server, error) {
	address, err := freeAddress()
	return server{program: program, address: address}, err
}

func (s server) url() string { return "nats://" + s.address }

// command writes the configuration beside the logs.
func (s server) command(file string) (*exec.Cmd, error) {
	line := ""
	if s.sync != "" {
		line = "sync_interval: " + s.sync
	}
	text := fmt.Sprintf("listen: %q\njetstream {\n store_dir: %q\n %s\n}\n", s.address, s.store, line)
	return exec.Command(s.program, "-c", file), os.WriteFile(file, []byte(text), 0o600)
}

// start runs the server by the given launcher, and returns once it listens.
func (s server) start(ctx context.Context, logs string, launch func(string, *exec.Cmd) (*process, error)) (*process, error) {
	cmd, err := s.command(filepath.Join(logs, "nats.conf"))
	if err != nil {
		return nil, err
	}
	p, err := launch("nats", cmd)
	if err != nil {
		return nil, err
	}
	err = await(ctx, "NATS listens", startTimeout, func() bool { return listens(s.address) || !p.running() })
	if err == nil && !p.running() {
		err = errors.New("NATS ended")
	}
	if err != nil {
		return nil, fmt.Errorf("%w:\n%s", err, p.tail())
	}
	return p, nil
}

func listens(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// freeAddress is one where nothing listens.
func freeAddress() (string, error) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return socket.Addr().String(), socket.Close()
}

// countStream is how many events are stored.
func countStream(ctx context.Context, url string) (int, error) {
	js, disconnect, err := connect(url)
	if err != nil {
		return 0, err
	}
	defer disconnect()
	stream, err := js.Stream(ctx, visit.DefaultEventStream)
	if err != nil {
		return 0, fmt.Errorf("look at the stream: %w", err)
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

func connect(url string, options ...nats.Option) (js jetstream.JetStream, disconnect func(), err error) {
	nc, err := nats.Connect(url, options...)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to NATS: %w", err)
	}
	js, err = jetstream.New(nc)
	return js, nc.Close, err
}

// readStream returns every event that is stored. A stream that does not exist has none.
func readStream(ctx context.Context, url string, options ...nats.Option) ([]stored, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	js, disconnect, err := connect(url, options...)
	if err != nil {
		return nil, err
	}
	defer disconnect()
	consumer, err := js.OrderedConsumer(ctx, visit.DefaultEventStream, jetstream.OrderedConsumerConfig{})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the stream: %w", err)
	}
	return readAll(ctx, consumer)
}

func readAll(ctx context.Context, consumer jetstream.Consumer) (all []stored, err error) {
	messages, err := consumer.Messages()
	if err != nil {
		return nil, fmt.Errorf("read the stream: %w", err)
	}
	defer messages.Stop()
	for left := consumer.CachedInfo().NumPending; left > 0; left-- {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, fmt.Errorf("read the stream, of which %d messages are left: %w", left, err)
		}
		var event visit.Event
		if err := json.Unmarshal(m.Data(), &event); err != nil {
			event.Source = m.Data() // what was never sent counts as altered
		}
		all = append(all, stored{m.Headers().Get(visit.HeaderMsgID), event.Source})
	}
	return all, nil
}
