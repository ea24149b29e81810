package cli

import (
	"cmp"
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
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/server"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
)

const (
	// verifyTimeout bounds everything that verify does.
	verifyTimeout = 30 * time.Second
	// noKey is nobody's key.
	noKey = "not-a-key"
)

// verify tries a relay that runs here or elsewhere, with the settings and the
// credentials that it has: for the test of an installation. No visitor comes of it,
// and no decider is asked.
func verify(ctx context.Context, in Process) int {
	f := flag.NewFlagSet("sine-relay verify", flag.ContinueOnError)
	f.SetOutput(in.Stderr)
	public := f.String("public", "", "URL where Sine's calls come in; unless given, SINE_RELAY_LISTEN on this machine")
	admin := f.String("admin", "", "URL where /readyz is; unless given, SINE_RELAY_ADMIN_LISTEN on this machine")
	settling := f.Duration("settling", 10*time.Second, "how long the relay may take until it answers as it should")
	if f.Parse(in.Args) != nil {
		return exitUsage
	}
	for name, address := range map[string]string{"--public": *public, "--admin": *admin} {
		if address != "" && !isWebAddress(address) {
			fmt.Fprintf(in.Stderr, "sine-relay verify: %s %q is not a URL; write for example http://sine-relay:8080\n", name, address)
			return exitUsage
		}
	}
	settings, err := config.Load(in.Environ, nil)
	if err != nil {
		return misconfigured(in, err)
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	v := verification{out: in.Stdout, settling: *settling}
	v.public, v.admin = listenURLs(settings)
	v.public, v.admin = strings.TrimSuffix(cmp.Or(*public, v.public), "/"), strings.TrimSuffix(cmp.Or(*admin, v.admin), "/")
	v.ready(ctx)
	v.wrongKey(ctx, settings)
	v.keys(ctx, settings)
	v.rehearse(ctx, settings)
	if v.failed {
		return exitFailed
	}
	return exitOK
}

// listenURLs are where a relay with these settings is reached on this machine.
func listenURLs(s config.Settings) (public, admin string) {
	scheme := "http://"
	if s.TLSCertFile != "" {
		scheme = "https://"
	}
	at, _ := localAddress(s.Listen) // both were checked
	adminAt, _ := localAddress(s.AdminListen)
	return scheme + at, "http://" + adminAt
}

// verification prints what is found, a line each.
type verification struct {
	out           io.Writer
	public, admin string // without a slash at the end
	settling      time.Duration
	failed        bool
}

func (v *verification) report(what string, err error) {
	if err == nil {
		fmt.Fprintln(v.out, "ok      ", terminal.Printable(what))
		return
	}
	v.failed = true
	fmt.Fprintf(v.out, "not ok   %s: %s\n", terminal.Printable(what), terminal.PrintableError(err))
}

// ready prints the detail, too, and wants nothing to be degraded.
func (v *verification) ready(ctx context.Context) {
	var detail string
	v.report("readiness: ready", retry(ctx, v.settling, func() error {
		status, body, err := fetch(ctx, http.MethodGet, v.admin+"/readyz?verbose", nil)
		if err != nil {
			return err
		}
		detail = body
		if word, _, _ := strings.Cut(body, "\n"); status != http.StatusOK || word != "ready" {
			return fmt.Errorf("answered %d, %s", status, word)
		}
		return nil
	}))
	fmt.Fprint(v.out, indented(terminal.PrintableLines(detail)))
}

// wrongKey sends no body, so that nothing could come of it.
func (v *verification) wrongKey(ctx context.Context, s config.Settings) {
	names, _ := s.Names()
	url := v.public + "/sine/" + append(names, relay.DefaultIntegration)[0]
	v.report("a wrong key is answered 401", retry(ctx, v.settling, func() error {
		status, _, err := fetch(ctx, http.MethodPost, url, http.Header{"X-Sine-Auth": {noKey}})
		if err == nil && status != http.StatusUnauthorized {
			err = fmt.Errorf("answered %d", status)
		}
		return err
	}))
}

// keys asks the relay about each key that the settings have, by its digest: the key
// itself does not cross the network.
func (v *verification) keys(ctx context.Context, s config.Settings) {
	for _, i := range s.Integrations {
		if len(i.Keys) == 0 {
			v.report("keys of integration "+i.Name, errors.New("the settings here have none"))
		}
		for _, k := range i.Keys {
			v.report(fmt.Sprintf("the relay accepts the key %s of integration %s", k.Name(), i.Name), v.key(ctx, i.Name, k))
		}
	}
}

func (v *verification) key(ctx context.Context, integration string, k relay.Key) error {
	status := 0
	err := retry(ctx, v.settling, func() (err error) {
		status, _, err = fetch(ctx, http.MethodGet, v.admin+"/sine/"+integration, http.Header{relay.HeaderKeyDigest: {k.Digest()}})
		return err
	})
	switch {
	case err != nil:
		return err
	case status == http.StatusUnauthorized:
		return errors.New("it has another key, or has not read this one yet")
	case status != http.StatusNoContent:
		return fmt.Errorf("answered %d", status)
	default:
		return nil
	}
}

// rehearse tries the subjects of every site.
func (v *verification) rehearse(ctx context.Context, s config.Settings) {
	if s.NATSURL == "" {
		return // it is in the relay, and readiness says how it is
	}
	seen := map[string]bool{}
	for _, i := range s.Integrations {
		if seen[i.Site] {
			continue
		}
		seen[i.Site] = true
		found, err := broker.Rehearse(ctx, server.BrokerConfig(s, nil, nil, nil), i.Site)
		if err != nil {
			v.report("NATS", err)
			return
		}
		for _, r := range found {
			v.report("may publish "+r.Subject, r.Fault)
		}
	}
}

// retry tries again for a while, and returns the last error: an address may
// take a moment to lead to a relay that has just become ready.
func retry(ctx context.Context, while time.Duration, try func() error) error {
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

// unchecked takes any certificate: within a cluster a relay is reached by another
// name than the one that is certified, and nothing secret is sent.
var unchecked = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}

func fetch(ctx context.Context, method, url string, header http.Header) (status int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, "", errors.New("the address is not a URL; write for example http://sine-relay:8080")
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
