//go:build unix

package spool

import (
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/sine-relay/sine-relay/broker/outbox/disk"
	"github.com/sine-relay/sine-relay/broker/outbox/wal"
)

// To open a pipe would wait for its other end for ever.
func TestTrap_APipeInPlaceOfAFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{wal.Name(1), wal.Name(2), "0000000000000002.new", disk.LockName} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := openAt(t, dir)
			put(t, s, entry("a", "1"))
			os.Remove(filepath.Join(dir, name))
			must(t, syscall.Mkfifo(filepath.Join(dir, name), 0o600))
			put(t, s, entry("a", "2"))
			must(t, s.Probe(t.Context(), 100))
			closed(t, s)
			if got := afterACrash(t, dir); !slices.Equal(got, []string{"1", "2"}) {
				t.Errorf("after a crash: %v", got)
			}
		})
	}
}
