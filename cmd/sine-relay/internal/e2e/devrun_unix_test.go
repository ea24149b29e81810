//go:build unix

package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/cli"
	"github.com/sine-relay/sine-relay/internal/logtest"
)

// devRun is dev, running in the test's process.
type devRun struct {
	t        *testing.T
	stop     context.CancelFunc
	ended    chan int
	out, err logtest.Buffer
}

func runDev(t *testing.T, settings ...string) *devRun {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	d := &devRun{t: t, stop: stop, ended: make(chan int, 1)}
	go func() {
		d.ended <- cli.Run(ctx, cli.Process{Args: []string{"dev"}, Environ: environment(settings...), Stdout: &d.out, Stderr: &d.err})
	}()
	t.Cleanup(stop)
	eventually(t, "it is up", func() bool {
		if len(d.ended) > 0 {
			t.Fatalf("it ended: %s", d.err.String())
		}
		return strings.Contains(d.out.String(), "appear here")
	})
	return d
}

func (d *devRun) end() {
	d.t.Helper()
	d.stop()
	if code := <-d.ended; code != exitOK {
		d.t.Errorf("ended with %d: %s", code, d.err.String())
	}
}

// prints waits for a line.
func (d *devRun) prints(form string) string {
	d.t.Helper()
	var found string
	eventually(d.t, "it prints "+form, func() bool {
		found = regexp.MustCompile(form).FindString(d.out.String())
		return found != ""
	})
	return found
}

// pasted are the arguments that curl gets from the commands that are printed, as a
// shell reads them.
func (d *devRun) pasted(environ ...string) (all []curl) {
	d.t.Helper()
	for _, line := range regexp.MustCompile(`(?m)^  curl .*`).FindAllString(d.out.String(), -1) {
		shell := exec.Command("sh", "-c", `curl() { for a; do printf '%s\0' "$a"; done; }; `+line)
		shell.Env = append(os.Environ(), environ...)
		words, err := shell.Output()
		if err != nil {
			d.t.Fatalf("%s: %v", line, err)
		}
		c := curl{t: d.t, header: http.Header{}}
		args := strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00")
		for i := 0; i < len(args); i++ {
			switch args[i] {
			case "-i", "-k":
			case "-H":
				i++
				name, value, _ := strings.Cut(args[i], ": ")
				c.header.Set(name, value)
			case "-d":
				i++
				c.body = args[i]
			default:
				c.urls = append(c.urls, args[i])
			}
		}
		all = append(all, c)
	}
	if len(all) != 3 {
		d.t.Fatalf("%d commands to paste in:\n%s", len(all), d.out.String())
	}
	return all
}

type curl struct {
	t      *testing.T
	header http.Header
	body   string
	urls   []string
}

// run returns the last answer.
func (c curl) run() (text string) {
	c.t.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	for _, url := range c.urls {
		req, err := http.NewRequest(http.MethodPost, url, bytes.NewBufferString(c.body))
		if err != nil {
			c.t.Fatal(err)
		}
		req.Header = c.header
		answer, err := client.Do(req)
		if err != nil {
			c.t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil {
			c.t.Fatal(err)
		}
		text = string(body)
	}
	return text
}
