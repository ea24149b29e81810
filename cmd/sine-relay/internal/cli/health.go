package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// healthTimeout is shorter than a container's own timeout for the check.
const healthTimeout = 2 * time.Second

func newHealth(in Process) *cobra.Command {
	return &cobra.Command{
		Use: "health", Short: "Report whether the relay on this machine is ready, for a container's health check.",
		Long:    "It reads SINE_RELAY_ADMIN_LISTEN and no other setting. It ends with 0 when the relay is ready.",
		Example: "  sine-relay health",
		RunE:    func(cmd *cobra.Command, _ []string) error { return health(cmd.Context(), in) },
	}
}

// health asks the relay in the same container whether it is ready. It needs no
// shell and no other program in the image, and only the address from the
// configuration: a check must not fail because of the rest.
func health(ctx context.Context, in Process) error {
	listen := ":9090"
	if v, ok := config.Lookup(in.Environ, config.Prefix+"ADMIN_LISTEN"); ok {
		listen = strings.TrimSpace(v)
	}
	address, err := localAddress(listen)
	if err != nil {
		return settingError{fmt.Errorf("SINE_RELAY_ADMIN_LISTEN: %w", err)}
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz?verbose", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 16<<10))
	fmt.Fprint(in.Stdout, terminal.PrintableLines(string(text)))
	if answer.StatusCode != http.StatusOK {
		return errReported
	}
	return nil
}

// localAddress is where a listener is reached on its own machine.
func localAddress(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || (ip != nil && ip.IsUnspecified()) {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}
