//go:build linux && faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// A fault lasts for a while and is mended before it returns. Several may happen
// at once: each takes what it has in its hands for itself. Which relay or node it
// concerns follows from pick.
type fault func(r *fixture, lasting time.Duration, pick int) error

func (r *fixture) oneRelay(pick int) *relay { return r.relays[pick%len(r.relays)] }
func (r *fixture) oneNode(pick int) *node   { return r.nodes[pick%len(r.nodes)] }

func relayKilled(r *fixture, lasting time.Duration, pick int) error {
	one := r.oneRelay(pick)
	one.mu.Lock()
	defer one.mu.Unlock()
	one.kill()
	hold(lasting)
	return one.start(r.programs)
}

func relayEnded(r *fixture, lasting time.Duration, pick int) error {
	one := r.oneRelay(pick)
	one.mu.Lock()
	defer one.mu.Unlock()
	err := one.terminate()
	hold(lasting)
	return errors.Join(err, one.start(r.programs))
}

func relayPaused(r *fixture, lasting time.Duration, pick int) error {
	one := r.oneRelay(pick)
	one.mu.Lock()
	defer one.mu.Unlock()
	one.process.signal(syscall.SIGSTOP)
	hold(lasting)
	one.process.signal(syscall.SIGCONT)
	return nil
}

func nodeKilled(r *fixture, lasting time.Duration, pick int) error {
	return r.oneNode(pick).die(lasting)
}

func (n *node) die(lasting time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process.kill()
	hold(lasting)
	return n.start()
}

func nodePaused(r *fixture, lasting time.Duration, pick int) error {
	return r.oneNode(pick).sleep(lasting)
}

func (n *node) sleep(lasting time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process.signal(syscall.SIGSTOP)
	hold(lasting)
	n.process.signal(syscall.SIGCONT)
	return nil
}

func nodeEnded(r *fixture, lasting time.Duration, pick int) error {
	return r.oneNode(pick).rest(lasting)
}

func (n *node) rest(lasting time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, err := n.process.terminate()
	hold(lasting)
	return errors.Join(err, n.start())
}

// leader is the node that leads the stream, or any where there is one only.
func (r *fixture) leader() (*node, error) {
	if len(r.nodes) == 1 {
		return r.nodes[0], nil
	}
	name, err := r.auditor.leader()
	for _, n := range r.nodes {
		if n.name == name {
			return n, err
		}
	}
	return nil, errors.Join(err, fmt.Errorf("no node is called %q", name))
}

func leaderKilled(r *fixture, lasting time.Duration, _ int) error {
	n, err := r.leader()
	if err != nil {
		return err
	}
	return n.die(lasting)
}

func leaderPaused(r *fixture, lasting time.Duration, _ int) error {
	n, err := r.leader()
	if err != nil {
		return err
	}
	return n.sleep(lasting)
}

// everyNodeInTurn is how a cluster is updated.
func everyNodeInTurn(r *fixture, lasting time.Duration, _ int) error {
	for _, n := range r.nodes {
		if err := n.rest(lasting / time.Duration(len(r.nodes))); err != nil {
			return err
		}
		if err := r.whole(); err != nil {
			return err
		}
	}
	return nil
}

// whole waits until all nodes have all of the stream.
func (r *fixture) whole() error {
	return persist("the stream is whole", func(ctx context.Context) error {
		info, err := r.auditor.info(ctx, "VISITORS")
		if err != nil || len(r.nodes) == 1 {
			return err
		}
		if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) != len(r.nodes)-1 {
			return errors.New("it has not all its replicas")
		}
		for _, replica := range info.Cluster.Replicas {
			if !replica.Current {
				return fmt.Errorf("%s is behind", replica.Name)
			}
		}
		return nil
	})
}

// under has bad network between one relay, or all of them, and NATS. Without
// proxies there is none.
func under(w network) fault {
	return func(r *fixture, lasting time.Duration, pick int) error {
		r.network.Lock()
		defer r.network.Unlock()
		affected := r.affected(pick)
		for _, p := range affected {
			p.turn(w)
			if w.anew {
				p.cut()
			}
		}
		hold(lasting)
		for _, p := range affected {
			p.turn(network{})
		}
		return nil
	}
}

// affected are the proxies of all relays, or of one.
func (r *fixture) affected(pick int) []*proxy {
	var all []*proxy
	for i, ofOne := range r.proxies {
		if pick%2 == 0 || i == pick/2%len(r.proxies) {
			all = append(all, ofOne...)
		}
	}
	return all
}

var (
	networkCut      = under(network{anew: true, refusing: true})
	networkMute     = under(network{anew: true, deaf: [2]bool{down: true}})
	networkStalled  = under(network{stalled: true})
	networkDeafUp   = under(network{deaf: [2]bool{up: true}})
	networkDeafDown = under(network{deaf: [2]bool{down: true}})
	networkSlow     = under(network{delay: 300 * time.Millisecond})
	networkResets   = under(network{resetAfter: 20_011})
)
