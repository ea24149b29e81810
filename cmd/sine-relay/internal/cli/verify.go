package cli

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/relay"
)

const (
	// verifyTimeout bounds everything that verify does.
	verifyTimeout = 30 * time.Second
	// noKey is nobody's key.
	noKey = "not-a-key"
)

func newVerify(in Process) *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify", Short: "Check a running relay: readiness, API keys, and what NATS permits it.",
		Long: "It uses the settings and the credentials that are here, as a test of an installation. No visitor comes\n" +
			"of it, and no decider is asked.",
		Example: "  sine-relay verify --public http://sine-relay:8080 --admin http://sine-relay:9090",
	}
	v := verification{}
	cmd.Flags().StringVar(&v.public, "public", "", "`URL` where Sine's webhooks come in; without it, SINE_RELAY_LISTEN on this machine")
	cmd.Flags().StringVar(&v.admin, "admin", "", "`URL` where /readyz is; without it, SINE_RELAY_ADMIN_LISTEN on this machine")
	addDuration(cmd.Flags(), &v.settling, "settling", 10*time.Second, "how long the relay may take until it answers as it should")
	format := addOutput(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for name, address := range map[string]string{"--public": v.public, "--admin": v.admin} {
			if address != "" && !isWebAddress(address) {
				return usagef("%s: %q is not a URL; write for example http://sine-relay:8080", name, address)
			}
		}
		return v.run(cmd.Context(), in, *format)
	}
	return cmd
}

// verification tries a relay that runs here or elsewhere.
type verification struct {
	*checks
	public, admin string // without a slash at the end
	settling      time.Duration
	readiness     string
}

func (v *verification) run(ctx context.Context, in Process, format string) error {
	settings, err := in.settings(loadAll)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	v.checks = newChecks(in.Stdout, format)
	public, admin := listenURLs(settings)
	v.public, v.admin = strings.TrimSuffix(cmp.Or(v.public, public), "/"), strings.TrimSuffix(cmp.Or(v.admin, admin), "/")
	v.ready(ctx)
	v.wrongKey(ctx, settings)
	v.keys(ctx, settings)
	v.permissions(ctx, settings)
	return v.print(in.Stdout, format)
}

// print prints what is not printed yet, and returns an error where a check failed.
func (v *verification) print(out io.Writer, format string) (err error) {
	if format == asJSON {
		err = printJSON(out, struct {
			OK        bool    `json:"ok"`
			Checks    []check `json:"checks"`
			Readiness string  `json:"readiness"`
		}{!v.failed, v.all, v.readiness})
	}
	if err == nil && v.failed {
		err = errReported
	}
	return err
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

// ready prints the detail, too, and wants nothing to be degraded.
func (v *verification) ready(ctx context.Context) {
	v.add("readiness: ready", retry(ctx, v.settling, func() error {
		status, body, err := fetch(ctx, http.MethodGet, v.admin+"/readyz?verbose", nil)
		if err != nil {
			return err
		}
		v.readiness = body
		first, _, _ := strings.Cut(body, "\n")
		if status == http.StatusOK && first == "ready" {
			return nil
		}
		// The reason behind the word is printed below.
		word, _, _ := strings.Cut(first, ":")
		return fmt.Errorf("answered %d, %s", status, word)
	}))
	v.detail(v.readiness)
}

// wrongKey sends no body, so that nothing could come of it.
func (v *verification) wrongKey(ctx context.Context, s config.Settings) {
	names, _ := s.Names()
	url := v.public + "/sine/" + append(names, relay.DefaultIntegration)[0]
	v.add("a wrong key is answered 401", retry(ctx, v.settling, func() error {
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
			v.add("keys of integration "+i.Name, errors.New("the settings here have none"))
		}
		for _, k := range i.Keys {
			v.add(fmt.Sprintf("the relay accepts the key %s of integration %s", k.Name(), i.Name), v.key(ctx, i.Name, k))
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
