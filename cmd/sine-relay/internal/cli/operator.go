package cli

import (
	"errors"
	"fmt"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// operatorSettings are the settings for a command that needs an existing NATS,
// and may do without integrations.
func operatorSettings(in Process) (config.Settings, error) {
	return settingsWithNATS(in, config.LoadForOperator)
}

// integrationSettings are those for a command that is about integrations: those of the
// file, or "default", whose site must be said, lest another site is meant.
func integrationSettings(in Process) (config.Settings, error) {
	settings, err := settingsWithNATS(in, config.LoadIntegrations)
	if err == nil && settings.IntegrationsFile == "" && !settings.IsSet("SINE_RELAY_SITE") && !settings.IsSet("SINE_RELAY_KEYS") {
		err = settingError{errors.New("no integration is configured here: set SINE_RELAY_INTEGRATIONS_FILE as for the relay, or SINE_RELAY_SITE where it has one integration only")}
	}
	return settings, err
}

func settingsWithNATS(in Process, load func([]string) (config.Settings, error)) (config.Settings, error) {
	settings, err := load(in.Environ)
	if err == nil && settings.NATSURL == "" {
		err = settingError{errors.New("set SINE_RELAY_NATS_URL to where the relay's NATS listens" + asOperator(settings))}
	}
	return settings, err
}

// asOperator says what to set where the relay's NATS is the embedded one.
func asOperator(s config.Settings) string {
	address, err := localAddress(s.NATSListen)
	if s.NATSStoreDir == "" || err != nil {
		return ""
	}
	scheme := "nats"
	if s.NATSListenTLSCert != "" {
		scheme = "tls"
	}
	return fmt.Sprintf(", here SINE_RELAY_NATS_URL=%s://%s SINE_RELAY_NATS_USER=%s SINE_RELAY_NATS_PASSWORD_FILE=%s", scheme, address,
		embedded.UserOperator, terminal.Printable(embedded.PasswordFile(s.NATSStoreDir, embedded.UserOperator)))
}
