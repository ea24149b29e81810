package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

var flagForm = regexp.MustCompile(`^--([a-z0-9]+(?:-[a-z0-9]+)*)=(.*)$`)

// WithFlags returns environ with the settings that stand in arguments such as
// --log-level=debug, over those of the same name. Secrets are refused there:
// everybody on the machine can read a program's arguments.
func WithFlags(environ, args []string) ([]string, error) {
	all := slices.Clone(environ)
	for _, arg := range args {
		parts := flagForm.FindStringSubmatch(arg)
		if parts == nil {
			return nil, fmt.Errorf("%q is not a setting; write for example --log-level=debug", arg)
		}
		short := strings.ToUpper(strings.ReplaceAll(parts[1], "-", "_"))
		if s, _ := settingNamed(short); s.secret {
			return nil, fmt.Errorf("--%s would show a secret to everybody on this machine: set %s%s or %s%s_FILE", parts[1], Prefix, short, Prefix, short)
		}
		name := Prefix + short + "="
		all = slices.DeleteFunc(all, func(pair string) bool { return strings.HasPrefix(pair, name) })
		all = append(all, name+parts[2])
	}
	return all, nil
}
