package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/sine-relay/sine-relay/broker"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay"
)

const (
	// verifyPatience bounds everything that verify does.
	verifyPatience = 30 * time.Second
	// noKey is nobody's key.
	noKey = "not-a-key"
)

// verify tries a relay that runs elsewhere, with the settings and the credentials
// that it has: for the test of an installation. No visitor comes of it, and no
// decider is asked.
func verify(ctx context.Context, in invocation) int {
	f := flag.NewFlagSet("sine-relay verify", flag.ContinueOnError)
	f.SetOutput(in.err)
	public := f.String("public", "http://127.0.0.1:8080", "where Sine's calls come in")
	admin := f.String("admin", "http://127.0.0.1:9090", "where /readyz is")
	settling := f.Duration("settling", 10*time.Second, "how long the relay may take until it answers as it should")
	if f.Parse(in.args) != nil {
		return exitUsage
	}
	settings, code := doorSettings(in)
	if code != exitOK {
		return code
	}
	ctx, cancel := context.WithTimeout(ctx, verifyPatience)
	defer cancel()
	v := verification{out: in.out}
	var detail string
	v.report("readiness: ready", patiently(ctx, *settling, func() (err error) {
		detail, err = readiness(ctx, *admin)
		return err
	}))
	fmt.Fprint(in.out, indented(printableLines(detail)))
	v.report("a wrong key is answered 401", patiently(ctx, *settling, func() error {
		names, _ := settings.Names()
		return turnedAway(ctx, *public, append(names, relay.DefaultIntegration)[0])
	}))
	v.rehearse(ctx, settings)
	if v.failed {
		return exitFailed
	}
	return exitOK
}

// verification prints what is found, a line each.
type verification struct {
	out    io.Writer
	failed bool
}

func (v *verification) report(what string, err error) {
	if err == nil {
		fmt.Fprintln(v.out, "ok      ", printable(what))
		return
	}
	v.failed = true
	fmt.Fprintf(v.out, "not ok   %s: %s\n", printable(what), printableError(err))
}

// rehearse tries the subjects of every site.
func (v *verification) rehearse(ctx context.Context, s config.Settings) {
	seen := map[string]bool{}
	for _, i := range s.Integrations {
		if seen[i.Site] {
			continue
		}
		seen[i.Site] = true
		found, err := broker.Rehearse(ctx, brokerConfig(s, nil, nil, nil), i.Site)
		if err != nil {
			v.report("NATS", err)
			return
		}
		for _, r := range found {
			v.report("may publish "+r.Subject, r.Fault)
		}
	}
}

// patiently tries again for a while, and returns the last error: an address may
// take a moment to lead to a relay that has just become ready.
func patiently(ctx context.Context, while time.Duration, try func() error) error {
	giveUp, cancel := context.WithTimeout(ctx, while)
	defer cancel()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-time.After(250 * time.Millisecond):
		case <-giveUp.Done():
			return err
		}
	}
}

// readiness returns the detail, too; an error unless the relay is ready and
// nothing is degraded.
func readiness(ctx context.Context, admin string) (detail string, err error) {
	status, body, err := fetch(ctx, http.MethodGet, strings.TrimSuffix(admin, "/")+"/readyz?verbose", nil)
	switch word, _, _ := strings.Cut(body, "\n"); {
	case err != nil:
		return "", err
	case status != http.StatusOK || word != "ready":
		return body, fmt.Errorf("answered %d, %s", status, word)
	}
	return body, nil
}

// turnedAway: without a body, so that nothing could come of it.
func turnedAway(ctx context.Context, public, integration string) error {
	status, _, err := fetch(ctx, http.MethodPost, strings.TrimSuffix(public, "/")+"/sine/"+integration, http.Header{"X-Sine-Auth": {noKey}})
	if err == nil && status != http.StatusUnauthorized {
		err = fmt.Errorf("answered %d", status)
	}
	return err
}

// unchecked takes any certificate: within a cluster a relay is reached by another
// name than the one that is certified, and nothing secret is sent.
var unchecked = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func fetch(ctx context.Context, method, url string, header http.Header) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", errors.New("the address is no URL; write for example http://sine-relay:8080")
	}
	req.Header = header
	answer, err := unchecked.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, 16<<10))
	return answer.StatusCode, string(text), err
}

func indented(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "         %s\n", strings.TrimSuffix(line, "\n"))
	}
	return b.String()
}
