package logtest

import (
	"context"
	"log/slog"
	"sync"
)

// Gate is a handler of a logger that holds up whoever logs a certain message.
type Gate struct {
	slog.Handler
	at *barrier
}

// barrier is what a gate shares with those that were made of it.
type barrier struct {
	mu            sync.Mutex
	message       string
	reached, open chan struct{}
}

// NewGate is an open gate before a handler.
func NewGate(h slog.Handler) *Gate { return &Gate{h, &barrier{}} }

// Close holds up who logs the message next. The channel is closed when somebody does; open
// lets that one go on, and others pass.
func (g *Gate) Close(message string) (reached <-chan struct{}, open func()) {
	g.at.mu.Lock()
	defer g.at.mu.Unlock()
	g.at.message, g.at.reached, g.at.open = message, make(chan struct{}), make(chan struct{})
	opened := g.at.open
	return g.at.reached, sync.OnceFunc(func() { close(opened) })
}

// Handle is for slog.
func (g *Gate) Handle(ctx context.Context, r slog.Record) error {
	if opened := g.at.reach(r.Message); opened != nil {
		<-opened
	}
	return g.Handler.Handle(ctx, r)
}

// reach returns what to wait for, once for the message of a closed gate, or nil.
func (b *barrier) reach(message string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.reached == nil || message != b.message {
		return nil
	}
	close(b.reached)
	b.reached = nil
	return b.open
}

// WithAttrs is for slog.
func (g *Gate) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Gate{g.Handler.WithAttrs(attrs), g.at}
}

// WithGroup is for slog.
func (g *Gate) WithGroup(name string) slog.Handler { return &Gate{g.Handler.WithGroup(name), g.at} }
