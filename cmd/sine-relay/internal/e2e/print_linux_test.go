package e2e

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/internal/logtest"
	"github.com/sine-relay/sine-relay/visit"
)

// terminal returns the two ends of a real one: what a program writes to, and what
// it shows.
func terminal(t *testing.T) (program, screen *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { screen.Close() })
	var locked, number uint32
	for request, argument := range map[uintptr]*uint32{syscall.TIOCSPTLCK: &locked, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, screen.Fd(), request, uintptr(unsafe.Pointer(argument))); errno != 0 {
			t.Fatal(errno)
		}
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return program, screen
}

// A body goes to a file byte for byte, and to a terminal without what that obeys.
func TestOutput_BodyIsEscapedOnlyOnATerminal(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	runServe(t, "NATS_URL="+server.URL()).ready()
	const body = "{\n\t\"name\": \"" + hostile + "\x9b\xff\"}"
	if _, err := server.JetStream().PublishMsg(t.Context(), &nats.Msg{
		Subject: "visitors.v1.quarantine.default", Data: []byte(body), Header: nats.Header{
			visit.HeaderRequestID: {"K7Q2M"}, visit.HeaderIntegration: {"default"},
			visit.HeaderReason: {"not_json"}, visit.HeaderReceived: {noon},
		},
	}); err != nil {
		t.Fatal(err)
	}
	environ := environment("NATS_URL="+server.URL(), "KEYS="+testKey)
	show := []string{"quarantine", "show", "--body", "1"}
	if _, out, _ := commandLine(environ, show...); !strings.Contains(out, body) {
		t.Errorf("to a file: %q", out)
	}

	program, screen := terminal(t)
	shown := make(chan string)
	go func() {
		text, _ := io.ReadAll(screen) // an error, once the other end is closed
		shown <- string(text)
	}()
	var errOut logtest.Buffer
	if code := cli.Run(context.Background(), cli.Process{Args: show, Environ: environ, Stdout: program, Stderr: &errOut}); code != exitOK {
		t.Fatalf("ended with %d: %s", code, errOut.String())
	}
	program.Close()
	select {
	case text := <-shown:
		text = strings.ReplaceAll(text, "\r\n", "\n") // the terminal's own
		mustBePrintable(t, "quarantine show --body", strings.ReplaceAll(text, "\t", " "))
		if !strings.Contains(text, `\x1b[2J`) || !strings.Contains(text, `\x9b\xff`) {
			t.Errorf("on a terminal: %q", text)
		}
	case <-time.After(patience):
		t.Fatal("the terminal shows nothing")
	}
}
