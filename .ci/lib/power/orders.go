package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"sync"
)

// orders are the lockdowns that were given, each in the place of the one before.
type orders struct {
	mu    sync.Mutex
	given int // the last that a command ended well for
	tried int // the last that one began to give
	total int // that were given ever
}

func lockdowns(t *trial) error {
	for t.more() {
		if err := t.life(t.open, t.inForce, t.call, t.giveOrders, t.wait, t.wait); err != nil {
			return err
		}
	}
	return t.last(t.open, t.inForce)
}

// operator is a command of the operator.
func (t *trial) operator(ctx context.Context, words ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, t.relay.program, words...)
	cmd.Env = environment("NATS_URL="+t.relay.nats, "NATS_USER=operator", "NATS_PASSWORD_FILE="+t.data("nats/nats-passwords/operator"))
	return cmd
}

// giveOrders gives one lockdown after another until the power is off.
func (t *trial) giveOrders() error {
	ctx, cancel := context.WithCancel(t.ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			n := t.orders.next()
			if t.operator(ctx, "lockdown", "--site", "default", "--message", orderText(n), "--by", "power").Run() == nil {
				t.orders.obeyed(n)
			}
		}
	}()
	t.stops = append(t.stops, func() { cancel(); <-ended })
	return nil
}

func orderText(n int) string { return fmt.Sprintf("order %d", n) }

func orderNumber(text string) (n int) {
	if _, err := fmt.Sscanf(text, "order %d", &n); err != nil {
		return 0
	}
	return n
}

func (o *orders) next() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tried++
	return o.tried
}

func (o *orders) obeyed(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.given = n
	o.total++
}

// inForce looks for the last order that was given, or one that was being given when
// the power went.
func (t *trial) inForce() error {
	out, err := t.operator(t.ctx, "orders", "--output", "json").Output()
	if err != nil {
		return fmt.Errorf("list orders: %w", err)
	}
	var list struct {
		Orders []struct {
			Message         string
			InForce, Stored bool
			ObeyedBy        int
		}
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("list orders: %w", err)
	}
	t.orders.mu.Lock()
	defer t.orders.mu.Unlock()
	if t.orders.given == 0 {
		return nil
	}
	for _, o := range list.Orders {
		if n := orderNumber(o.Message); n >= t.orders.given && n <= t.orders.tried && o.InForce && o.Stored && o.ObeyedBy > 0 {
			return nil
		}
	}
	t.orders.given = 0
	t.note(findings{missing: 1})
	return nil
}
