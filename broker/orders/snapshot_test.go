package orders_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/broker/orders"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

func TestKept_UnusableFileIsSetAside(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"empty":                     "",
		"cut short":                 `{"version":1,"written":"2026-11-18T12:00:00Z","orders":[{"kind":"lockdown","site":"hq"`,
		"zeros":                     strings.Repeat("\x00", 512),
		"of another version":        `{"version":2,"written":"2026-11-18T12:00:00Z","orders":[]}`,
		"of another program":        `{}`,
		"with a time that is none":  `{"version":1,"written":"noon","orders":[]}`,
		"with an order that is bad": `{"version":1,"written":"2026-11-18T12:00:00Z","orders":[{"kind":"override","site":"hq"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.Start(t)
			put(t, open(t, s), lockdown("hq"))
			s.Stop()
			file := filepath.Join(t.TempDir(), "orders.json")
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var log logtest.Buffer
			w := watch(t, s, readSoon, into(&log), func(c *orders.WatchConfig) { c.SnapshotFile = file })
			if all, known := w.Orders(); known || len(all) != 0 {
				t.Errorf("%v, known %v", all, known)
			}
			aside, _ := filepath.Glob(file + ".damaged-*")
			if len(aside) != 1 || !strings.Contains(log.String(), aside[0]) {
				t.Fatalf("moved aside are %v:\n%s", aside, log.String())
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != content {
				t.Errorf("%q, %v", kept, err)
			}
			s.Restart()
			sees(t, w, lockdown("hq"))
			w.Close()
			s.Stop()
			sees(t, watch(t, s, readSoon, func(c *orders.WatchConfig) { c.SnapshotFile = file }), lockdown("hq"))
		})
	}
}

func TestKept_EmptyBucketIsKeptToo(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	file := filepath.Join(t.TempDir(), "orders.json")
	w := watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = file })
	sees(t, w)
	w.Close()
	s.Stop()
	again := watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = file })
	sees(t, again)
	if source := again.Status().Source; source != orders.SourceKept {
		t.Errorf("its source is %s", source)
	}
}

func TestKept_FailedWriteIsReported(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	dir := filepath.Join(t.TempDir(), "later")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // in the directory's place
		t.Fatal(err)
	}
	var log logtest.Buffer
	w := watch(t, s, readSoon, into(&log), func(c *orders.WatchConfig) { c.SnapshotFile = filepath.Join(dir, "orders.json") })
	sees(t, w)
	eventually(t, "the status says so", func() bool { return w.Status().SnapshotErr != nil })
	put(t, open(t, s), lockdown("hq"))
	sees(t, w, lockdown("hq"))
	if n := strings.Count(log.String(), "the next start will not know"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is kept without another change", func() bool { return w.Status().SnapshotErr == nil })
	w.Close()
	s.Stop()
	sees(t, watch(t, s, func(c *orders.WatchConfig) { c.SnapshotFile = filepath.Join(dir, "orders.json") }), lockdown("hq"))
}

// What was kept once may be gone: the file is looked at, not what was done to it.
func TestKept_RemovedOrReplacedFileIsWrittenAgain(t *testing.T) {
	t.Parallel()
	s := natstest.Start(t)
	put(t, open(t, s), lockdown("hq"))
	const other = `{"version":1,"orders":[]}`
	for name, harm := range map[string]func(file string) error{
		"the directory is removed": func(file string) error { return os.RemoveAll(filepath.Dir(file)) },
		"it is written to":         func(file string) error { return os.WriteFile(file, []byte(other), 0o600) },
		"the file is replaced": func(file string) error {
			return errors.Join(os.WriteFile(file+".old", []byte(other), 0o600), os.Rename(file+".old", file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "state", "orders.json")
			sees(t, watch(t, s, readSoon, func(c *orders.WatchConfig) { c.SnapshotFile = file }), lockdown("hq"))
			kept := func() bool {
				content, _ := os.ReadFile(file)
				return strings.Contains(string(content), "lockdown")
			}
			eventually(t, "it is kept", kept)
			if err := harm(file); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it is kept again", kept)
		})
	}
}
