package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
)

// durationFlag is a duration that is written and shown with days, too.
type durationFlag struct{ to *time.Duration }

func addDuration(f *pflag.FlagSet, to *time.Duration, name string, initial time.Duration, help string) {
	*to = initial
	f.Var(durationFlag{to}, name, help)
}

func (d durationFlag) Type() string { return "duration" }

func (d durationFlag) String() string {
	if *d.to == 0 {
		return "" // no default is shown
	}
	return formatDuration(*d.to)
}

func (d durationFlag) Set(text string) (err error) {
	*d.to, err = config.ParseDuration(text)
	return err
}

// choiceFlag is one of a few words.
type choiceFlag struct {
	to    *string
	name  string
	words []string
}

func addChoice(cmd *cobra.Command, to *string, name, short, kind string, words []string, help string) {
	cmd.Flags().VarP(choiceFlag{to, kind, words}, name, short, help)
	// The flag was defined in the line above: there is no error.
	_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

func (c choiceFlag) Type() string   { return c.name }
func (c choiceFlag) String() string { return *c.to }

func (c choiceFlag) Set(text string) error {
	if !slices.Contains(c.words, text) {
		return fmt.Errorf("%q is not one of %s%s", text, strings.Join(c.words, ", "), config.DidYouMean(text, c.words))
	}
	*c.to = text
	return nil
}

// settingFlag is a setting of the environment as a flag. What its value may be, package
// config checks.
type settingFlag struct {
	config.Flag
	environ *[]string
}

// addSettings makes a flag of each setting that a command has. What is given is put into
// environ.
func addSettings(f *pflag.FlagSet, environ *[]string, has func(config.Flag) bool) {
	for _, s := range config.Flags() {
		if !has(s) {
			continue
		}
		flag := f.VarPF(settingFlag{s, environ}, s.Name, "", s.Help)
		flag.Hidden = s.Secret
		if s.Type == "bool" {
			flag.NoOptDefVal = "true"
		}
	}
}

func (s settingFlag) Type() string   { return s.Flag.Type }
func (s settingFlag) String() string { return s.Default }

func (s settingFlag) Set(value string) error {
	if s.Secret {
		return fmt.Errorf("everybody on this machine could read the secret there: set %s or %s_FILE", s.Variable, s.Variable)
	}
	*s.environ = config.With(*s.environ, s.Variable, value)
	return nil
}
