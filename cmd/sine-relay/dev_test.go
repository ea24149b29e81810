package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
)

// dev is the newcomer's first command: what it prints must work as printed.
func TestDev(t *testing.T) {
	dir := t.TempDir()
	key := ""
	for _, round := range []string{"first", "second"} {
		ctx, stop := context.WithCancel(context.Background())
		var out, errOut output
		ended := make(chan int, 1)
		go func() {
			ended <- dev(ctx, invocation{environ: environment("NATS_STORE_DIR=" + dir), out: &out, err: &errOut})
		}()
		t.Cleanup(stop)
		eventually(t, "it is up", func() bool { return strings.Contains(out.String(), "Events appear here") })

		curls := regexp.MustCompile(`curl -i -H 'x-sine-auth: (\S+)' -H 'content-type: application/json' (\S+) -d '(.*)'`).FindAllStringSubmatch(out.String(), -1)
		if len(curls) != 3 {
			t.Fatalf("%d commands to paste in:\n%s", len(curls), out.String())
		}
		for i, want := range []string{"Welcome, Marguerite!", "eventId", "eventId"} {
			if got := call(t, curls[i][2], curls[i][1], curls[i][3]); !strings.Contains(got, want) {
				t.Errorf("%s round, call %d: %s", round, i, got)
			}
		}
		denied := strings.Replace(curls[0][3], "Bexley Rigging", "Denied", 1)
		if got := call(t, curls[0][2], curls[0][1], denied); !strings.Contains(got, "REJECTED") {
			t.Errorf("%s round: %s", round, got)
		}
		eventually(t, "both events are printed", func() bool {
			return strings.Contains(out.String(), "checked_in  site default  Marguerite") && strings.Contains(out.String(), "checked_out  site default")
		})
		if key != "" && key != curls[0][1] {
			t.Error("the second run has another key")
		}
		key = curls[0][1]

		lines := regexp.MustCompile(`(?m)^ +(\w+) +(\S+) +(nats://\S+) +(receives|answers|gives)`).FindAllStringSubmatch(out.String(), -1)
		if len(lines) != 3 {
			t.Fatalf("%d users in:\n%s", len(lines), out.String())
		}
		for _, user := range lines {
			nc, err := nats.Connect(user[3])
			if err != nil {
				t.Fatalf("the URL of %s does not work: %v", user[1], err)
			}
			nc.Close()
			bare := regexp.MustCompile(`//.*@`).ReplaceAllString(user[3], "//")
			if nc, err = nats.Connect(bare, nats.UserInfo(user[1], user[2])); err != nil {
				t.Fatalf("user and password of %s do not work apart: %v", user[1], err)
			}
			nc.Close()
		}
		orders := regexp.MustCompile(`(SINE_RELAY_NATS_URL=\S+) sine-relay (lockdown .*--site default)`).FindAllStringSubmatch(out.String(), -1)
		if len(orders) != 2 {
			t.Fatalf("%d orders in:\n%s", len(orders), out.String())
		}
		for i, want := range []string{"Obeyed by 1", "is lifted"} {
			must(t, []string{orders[i][1]}, want, strings.Fields(orders[i][2])...)
		}
		stop()
		if code := <-ended; code != exitOK {
			t.Errorf("%s round: ended with %d: %s", round, code, errOut.String())
		}
	}
}

func call(t *testing.T, url, key, body string) string {
	t.Helper()
	req, err := http.NewRequest("POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("x-sine-auth", key)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestADefaultPortThatIsTakenGivesWay(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	address := taken.Addr().String()
	if got := free(address); got == address || !strings.HasPrefix(got, "127.0.0.1:") {
		t.Errorf("%s is taken, and %s was chosen", address, got)
	}
	code, _, errOut := commandLine(environment("LISTEN="+address, "NATS_STORE_DIR="+t.TempDir()), "dev")
	if code != exitFailed || !strings.Contains(errOut, "SINE_RELAY_LISTEN") {
		t.Errorf("a port that was set and is taken: ended with %d: %s", code, errOut)
	}
}

func TestDevKey_IsMadeOnceAndFoundAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "dev-key")
	key, err := devKey(file)
	if err != nil || len(key) < 20 {
		t.Fatalf("%q %v", key, err)
	}
	if again, err := devKey(file); err != nil || again != key {
		t.Errorf("%q and then %q, %v", key, again, err)
	}
}

// A power cut may leave a file without its content, or with zeros in its place.
func TestDevKey_AnEmptyFileHoldsNone(t *testing.T) {
	for name, content := range map[string]string{"nothing": "", "blanks": " \n", "zeros": strings.Repeat("\x00", 27)} {
		dir := t.TempDir()
		file := filepath.Join(dir, "dev-key")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := devKey(file)
		if err != nil || !devKeyForm.MatchString(key) {
			t.Errorf("%s: %q %v", name, key, err)
		}
		if kept, err := os.ReadFile(file); err != nil || string(kept) != key+"\n" {
			t.Errorf("%s: the file holds %q, %v", name, kept, err)
		}
	}
}

func TestDev_NamesTheFileOfAKeyThatItCannotUse(t *testing.T) {
	for name, c := range map[string]struct {
		make func(file string) error
		want string
	}{
		"a directory":   {func(f string) error { return os.MkdirAll(f, 0o700) }, `the API key of dev: .*dev-key.*directory`},
		"too short":     {func(f string) error { return os.WriteFile(f, []byte("short\n"), 0o600) }, `dev-key must hold one key, of 8 or more`},
		"two keys":      {func(f string) error { return os.WriteFile(f, []byte("key-number-one,key-number-two"), 0o600) }, `remove the file`},
		"a comment":     {func(f string) error { return os.WriteFile(f, []byte("#key-number-one"), 0o600) }, `remove the file`},
		"nothing there": {func(f string) error { return os.Remove(filepath.Dir(f)) }, ""},
	} {
		dir := filepath.Join(t.TempDir(), "state")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := c.make(filepath.Join(dir, "dev-key")); err != nil {
			t.Fatal(err)
		}
		_, _, err := devDefaults(invocation{environ: environment("NATS_STORE_DIR=" + dir)})
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !regexp.MustCompile(c.want).MatchString(err.Error())):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	code, _, errOut := commandLine(environment("NATS_STORE_DIR="+filepath.Join(t.TempDir(), "a\x00b")), "dev")
	if code != exitFailed || strings.Contains(errOut, "the configuration has faults") {
		t.Errorf("ended with %d: %s", code, errOut)
	}
}
