package embedded_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/internal/wait"
)

var eventually = wait.Until

// visitors makes the stream of events, as the relay does.
func visitors(t *testing.T, s *embedded.Server) jetstream.JetStream {
	t.Helper()
	js := connect(t, "", nats.InProcessServer(s.InProcess()), nats.UserInfo("relay", s.Password("relay")), relaysInbox,
		nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond), nats.ReconnectJitter(0, 0))
	create(t, js)
	return js
}

func create(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	eventually(t, "there is a stream", func() bool {
		_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "VISITORS", Subjects: []string{"visitors.v1.event.>"}})
		return err == nil
	})
}

func publish(t *testing.T, js jetstream.JetStream, body string) error {
	t.Helper()
	_, err := js.Publish(t.Context(), "visitors.v1.event.hq.checked_in", []byte(body))
	return err
}

// kept reads the newest message from the disk, as the next start would.
func kept(t *testing.T, dir string) string {
	t.Helper()
	s := start(t, embedded.Config{StoreDir: dir})
	defer s.Shutdown()
	stream, err := connect(t, s.ClientURL("admin")).Stream(t.Context(), "VISITORS")
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), "visitors.v1.event.>")
	if err != nil {
		t.Fatal(err)
	}
	return string(m.Data)
}

// The server holds its files open and acknowledges what then is nowhere.
func TestTrap_AStoreThatWasRemovedGoesOnAcknowledging(t *testing.T) {
	t.Parallel()
	const stream = "jetstream/VISITORS/streams/VISITORS"
	for name, remove := range map[string]func(dir string) error{
		"the directory":                  removeAll,
		"everything in it":               removeIn,
		"the streams":                    func(dir string) error { return removeAll(filepath.Join(dir, "jetstream")) },
		"the messages":                   func(dir string) error { return removeAll(filepath.Join(dir, stream, "msgs")) },
		"a file of messages":             func(dir string) error { return os.Remove(filepath.Join(dir, stream, "msgs", "1.blk")) },
		"a directory moved away":         func(dir string) error { return os.Rename(dir, dir+"-away") },
		"an empty directory":             replace,
		"an empty stream":                func(dir string) error { return replace(filepath.Join(dir, stream)) },
		"an empty directory of messages": func(dir string) error { return replace(filepath.Join(dir, stream, "msgs")) },
		"the messages, and what is in the files of the passwords": func(dir string) error {
			return errors.Join(os.Truncate(dir+"/nats-passwords/relay", 0), os.Chmod(dir+"/nats-passwords/consumer", 0o644),
				os.Remove(dir+"/nats-passwords/desk"), syscall.Mkfifo(dir+"/nats-passwords/operator-pipe", 0o600),
				os.Rename(dir+"/nats-passwords/operator-pipe", dir+"/nats-passwords/operator"),
				removeAll(filepath.Join(dir, stream, "msgs")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "store")
			s := start(t, embedded.Config{StoreDir: dir})
			js, password := visitors(t, s), s.Password("consumer")
			if err := publish(t, js, "before"); err != nil || s.StoreFault("VISITORS") != nil {
				t.Fatal(err, s.StoreFault("VISITORS"))
			}
			if err := remove(dir); err != nil {
				t.Fatal(err)
			}
			stored := func() bool {
				return s.StoreFault("VISITORS") == nil && publish(t, js, "after") == nil && s.StoreFault("VISITORS") == nil
			}
			if !stored() {
				eventually(t, "the server is there again", func() bool { return s.StoreFault("VISITORS") == nil })
				create(t, js)
				eventually(t, "a message is stored", stored)
			}
			if s.Password("consumer") != password {
				t.Error("who had a password is shut out")
			}
			connect(t, s.ClientURL("consumer")) // at the same address
			s.Shutdown()
			if got := kept(t, dir); got != "after" {
				t.Errorf("on the disk is %q", got)
			}
		})
	}
}

// removeAll goes on until nothing is left: the server may make it anew meanwhile.
func removeAll(path string) error {
	for {
		if err := os.RemoveAll(path); !errors.Is(err, syscall.ENOTEMPTY) {
			return err
		}
	}
}

func removeIn(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if err == nil {
			err = removeAll(filepath.Join(dir, e.Name()))
		}
	}
	return err
}

// replace makes an empty directory in place of one, which may get its number.
func replace(dir string) error {
	if err := removeAll(dir); err != nil {
		return err
	}
	return os.MkdirAll(dir, 0o700)
}

// What an administrator does to a stream is not taken for a store that was removed.
func TestStoreFault_PurgeIsNoRemovedStore(t *testing.T) {
	t.Parallel()
	s := start(t, embedded.Config{StoreDir: t.TempDir()})
	js, admin := visitors(t, s), connect(t, s.ClientURL("admin"))
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.StoreFault("VISITORS"); err != nil {
				t.Errorf("%v", err)
				return
			}
		}
	}()
	for range 100 {
		if err := publish(t, js, "one"); err != nil {
			t.Error(err)
			break
		}
		stream, err := admin.Stream(t.Context(), "VISITORS")
		if err == nil {
			err = stream.Purge(t.Context())
		}
		if err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	<-ended
	if n := js.Conn().Statistics.Reconnects; n > 0 {
		t.Errorf("the server was started anew %d times", n)
	}
}

func TestStoreFault_DeletedStreamIsNoRemovedStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, embedded.Config{StoreDir: dir})
	js, admin := visitors(t, s), connect(t, s.ClientURL("admin"))
	for range 10 {
		if err := admin.DeleteStream(t.Context(), "VISITORS"); err != nil || s.StoreFault("VISITORS") != nil {
			t.Fatal(err, s.StoreFault("VISITORS"))
		}
		// The server forgets the stream and then takes its files away, with those of a
		// new one that is there by then. Now and then a file that it writes meanwhile
		// keeps it from that, and it does not try again.
		left, patience := filepath.Join(dir, "jetstream/VISITORS/streams/VISITORS"), time.Now().Add(5*time.Second)
		eventually(t, "its files are gone", func() bool {
			_, err := os.Stat(left)
			return errors.Is(err, fs.ErrNotExist) || time.Now().After(patience) && os.RemoveAll(left) == nil
		})
		create(t, js)
		if err := publish(t, js, "one"); err != nil || s.StoreFault("VISITORS") != nil {
			t.Fatal(err, s.StoreFault("VISITORS"))
		}
	}
	if n := js.Conn().Statistics.Reconnects; n > 0 {
		t.Errorf("the server was started anew %d times", n)
	}
}

// flock is by file: one that was removed and made again is another.
func TestTrap_ARemovedLockLetsASecondServerIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, embedded.Config{StoreDir: dir})
	js := visitors(t, s)
	if err := os.Remove(dir + "/lock"); err != nil {
		t.Fatal(err)
	}
	_, err := embedded.Start(embedded.Config{StoreDir: dir, Listen: "127.0.0.1:0"})
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Fatalf("%v", err)
	}
	if err := s.StoreFault("VISITORS"); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir + "/lock"); err != nil {
		t.Error(err)
	}
	if n := js.Conn().Statistics.Reconnects; n > 0 {
		t.Error("for a lock the server was started anew")
	}
}
