package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/desk"
)

// Names of what can be made to go wrong.
const (
	troubleSlow = "slow"
	troubleGone = "gone"
	troubleLies = "lies"
	troubleNATS = "nats"
)

// troubleTexts say what happens, in the order in which the page shows them.
var troubleTexts = []desk.Trouble{
	{Name: troubleSlow, Begin: "Make the decider slow", Text: "The example decider is slow: it decides after the visitor has been answered."},
	{Name: troubleGone, Begin: "Stop the decider", Text: "The example decider does not run."},
	{Name: troubleLies, Begin: "Make the decider reply nonsense", Text: "The example decider replies with something that is not a decision."},
	{Name: troubleNATS, Begin: "Cut off NATS", Text: "Relay and desk cannot reach NATS."},
}

// troubles are what goes wrong because somebody wants to see what happens then.
type troubles struct {
	cut *cutter
	// look has the examples look again at once, and is answered when they have.
	look chan chan struct{}

	mu sync.Mutex
	on map[string]bool
}

func (t *troubles) is(name string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.on[name]
}

// known are those that there are here: a NATS of somebody else cannot be cut off.
func (t *troubles) known() (all []desk.Trouble) {
	for _, trouble := range troubleTexts {
		if trouble.Name != troubleNATS || t.cut.possible() {
			trouble.On = t.is(trouble.Name)
			all = append(all, trouble)
		}
	}
	return all
}

// set begins or ends one. It returns when it has its effect.
func (t *troubles) set(ctx context.Context, name string, on bool) error {
	for _, known := range t.known() {
		if known.Name != name {
			continue
		}
		t.mu.Lock()
		if t.on == nil {
			t.on = map[string]bool{}
		}
		t.on[name] = on
		t.mu.Unlock()
		if name == troubleNATS {
			t.cut.set(on)
			return nil
		}
		return t.examplesLook(ctx)
	}
	return fmt.Errorf("there is no trouble %q", name)
}

func (t *troubles) examplesLook(ctx context.Context) error {
	looked := make(chan struct{})
	select {
	case t.look <- looked:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-looked:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// cutter can cut off those who reach the embedded NATS through it.
type cutter struct {
	mu    sync.Mutex
	nats  server.InProcess
	isCut bool
	open  map[net.Conn]bool
}

var errCut = errors.New("NATS was made to be away, on the desk's page Try it")

// of makes the way to NATS one that can be cut.
func (c *cutter) of(nats server.InProcess) server.InProcess {
	c.nats = nats
	return c
}

func (c *cutter) possible() bool { return c.nats != nil }

// InProcessConn is for nats.go.
func (c *cutter) InProcessConn() (net.Conn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		return nil, errCut
	}
	conn, err := c.nats.InProcessConn()
	if err != nil {
		return nil, err
	}
	if c.open == nil {
		c.open = map[net.Conn]bool{}
	}
	tracked := &cutConn{conn, c}
	c.open[tracked] = true
	return tracked, nil
}

// set cuts every connection, and refuses new ones, until it is set again.
func (c *cutter) set(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isCut = on
	if !on {
		return
	}
	for conn := range c.open {
		conn.(*cutConn).Conn.Close()
		delete(c.open, conn)
	}
}

// cutConn is forgotten when it is closed.
type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c *cutConn) Close() error {
	c.cutter.mu.Lock()
	delete(c.cutter.open, c)
	c.cutter.mu.Unlock()
	return c.Conn.Close()
}
