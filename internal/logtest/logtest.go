// Package logtest keeps what a program under test logs.
package logtest

import (
	"bytes"
	"log/slog"
	"sync"
)

// A Buffer may be read while it is written. Its zero value is empty.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Text is a logger that writes lines of text into the buffer.
func (b *Buffer) Text() *slog.Logger { return slog.New(slog.NewTextHandler(b, nil)) }

// JSON is a logger that writes lines of JSON into the buffer.
func (b *Buffer) JSON() *slog.Logger { return slog.New(slog.NewJSONHandler(b, nil)) }
