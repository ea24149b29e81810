package cli

import (
	"bytes"
	"strings"
	"testing"
)

// Who asks for help gets it on the standard output, whatever the settings are.
func TestCommands_AllHaveHelp(t *testing.T) {
	for _, c := range commands() {
		for _, flag := range []string{"-h", "--help"} {
			var out, errOut bytes.Buffer
			code := Run(t.Context(), Process{Args: append(strings.Fields(c.name), flag), Stdout: &out, Stderr: &errOut})
			if code != exitOK || errOut.Len() != 0 || !strings.Contains(out.String(), "sine-relay "+c.name) || !strings.Contains(out.String(), c.summary) {
				t.Errorf("%s %s ended with %d:\n%s%s", c.name, flag, code, &out, &errOut)
			}
		}
	}
}
