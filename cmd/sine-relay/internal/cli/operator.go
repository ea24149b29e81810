package cli

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
)

// inContext makes a command of which each one that does something has the flag --context.
func inContext(in Process, newCommand func(Process) *cobra.Command) *cobra.Command {
	in.context = new(string)
	cmd := newCommand(in)
	addContext(cmd, in)
	return cmd
}

func addContext(cmd *cobra.Command, in Process) {
	for _, c := range cmd.Commands() {
		addContext(c, in)
	}
	if cmd.Annotations[isGroup] != "" {
		return
	}
	cmd.Flags().StringVar(in.context, "context", "", "`name` of a context of the nats command, in place of the settings of the connection")
	// The flag was defined in the line above: there is no error.
	_ = cmd.RegisterFlagCompletionFunc("context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return config.ContextNames(in.Environ), cobra.ShellCompDirectiveNoFileComp
	})
}

// settings loads them, in the context that the command line names.
func (in Process) settings(load func(environ []string) (config.Settings, error)) (config.Settings, error) {
	return config.InContext(in.Environ, *in.context, load)
}

// loadAll is for a command that goes by all that a relay goes by.
func loadAll(environ []string) (config.Settings, error) { return config.Load(environ, nil) }

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
	settings, err := config.InContext(in.Environ, cmp.Or(*in.context, config.DefaultContext(in.Environ)), load)
	if err == nil && settings.NATSURL == "" {
		err = settingError{errors.New("set SINE_RELAY_NATS_URL to where the relay's NATS listens" + asOperator(settings) + config.OrContext(in.Environ))}
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
