package cli

import (
	"bytes"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// run runs a command line with settings of the environment.
func run(t *testing.T, environ []string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = Run(t.Context(), Process{Args: args, Environ: environ, Stdin: strings.NewReader(""), Stdout: &o, Stderr: &e})
	return code, o.String(), e.String()
}

// every calls do for each command, the program itself included.
func every(do func(*cobra.Command)) {
	var below func(*cobra.Command)
	below = func(cmd *cobra.Command) {
		do(cmd)
		for _, c := range cmd.Commands() {
			below(c)
		}
	}
	below(newRoot(Process{}))
}

// words are the arguments that name a command.
func words(cmd *cobra.Command) []string { return strings.Fields(cmd.CommandPath())[1:] }

func TestHelp_OfDevHasItsOwnLogLevel(t *testing.T) {
	for command, want := range map[string]string{"dev": `error (default "warn")`, "serve": `error (default "info")`} {
		if _, out, _ := run(t, nil, command, "--help"); !strings.Contains(out, want) {
			t.Errorf("%s: no %s in\n%s", command, want, out)
		}
	}
}

// Who asks for help gets it on the standard output, whatever the settings are.
func TestHelp_OfEveryCommandSaysWhatItDoes(t *testing.T) {
	every(func(cmd *cobra.Command) {
		for _, args := range [][]string{append(words(cmd), "--help"), append(words(cmd), "-h"), append([]string{"help"}, words(cmd)...)} {
			code, out, errOut := run(t, nil, args...)
			if code != ExitDone || errOut != "" {
				t.Errorf("%q ended with %d: %s", args, code, errOut)
			}
			if !strings.HasPrefix(out, cmd.Short+"\n") || !strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("%q does not begin with a sentence:\n%s", args, out)
			}
			for _, want := range []string{"\nUsage:\n  " + cmd.CommandPath(), "\nFlags:\n", "\nExample:\n  ", "--help"} {
				if !strings.Contains(out, want) {
					t.Errorf("%q has no %q:\n%s", args, want, out)
				}
			}
			for _, c := range cmd.Commands() {
				if !strings.Contains(out, c.Short) {
					t.Errorf("%q does not list %s:\n%s", args, c.Name(), out)
				}
			}
		}
	})
}

// The first column is the longest name of a flag, and the line is as long as its help.
func TestHelp_FitsATerminal(t *testing.T) {
	every(func(cmd *cobra.Command) {
		_, out, _ := run(t, nil, append(words(cmd), "--help")...)
		for line := range strings.Lines(out) {
			if len(line) > 121 {
				t.Errorf("%s: %d characters in %q", cmd.CommandPath(), len(line), line)
			}
		}
	})
}

var assignments = regexp.MustCompile(`^([A-Z_]+=\S+ )*`)

// An example is one that the command line accepts, however it then ends.
func TestExamples_AreCommandLines(t *testing.T) {
	every(func(cmd *cobra.Command) {
		for line := range strings.Lines(cmd.Example) {
			line, _, _ = strings.Cut(strings.TrimSpace(line), " | ")
			line, _, _ = strings.Cut(line, " > ")
			line = assignments.ReplaceAllString(line, "")
			args := shellWords(line)
			if len(args) == 0 || args[0] != "sine-relay" || !strings.HasPrefix(line, cmd.CommandPath()) {
				t.Errorf("%s: the example is %q", cmd.CommandPath(), line)
				continue
			}
			root := newRoot(Process{})
			found, rest, err := root.Find(args[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if err == nil {
				err = found.ValidateArgs(found.Flags().Args())
			}
			if err == nil && !found.Runnable() {
				t.Errorf("%s: %q runs nothing", cmd.CommandPath(), line)
			}
			if err != nil {
				t.Errorf("%s: %q: %v", cmd.CommandPath(), line, err)
			}
		}
	})
}

// shellWords knows single quotes.
func shellWords(line string) (all []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			all = append(all, part)
			continue
		}
		all = append(all, strings.Fields(part)...)
	}
	return all
}

func TestRun_AWrongCommandLineIsAnsweredInTwoLines(t *testing.T) {
	for args, want := range map[string]string{
		"sevre":                            `sine-relay: unknown command "sevre"; did you mean serve?`,
		"sevre --log-level=debug":          `sine-relay: unknown command "sevre"; did you mean serve?`,
		"xyzzy":                            `sine-relay: unknown command "xyzzy"`,
		"quarantine":                       "sine-relay quarantine: a command is missing; there are ls, show, replay",
		"quarantine shw 1":                 `sine-relay quarantine: unknown command "shw"; did you mean show?`,
		"lockdown lfit":                    `sine-relay lockdown: takes no arguments, but has "lfit"; did you mean lift?`,
		"help quarantne":                   `sine-relay help: unknown command "quarantne"; did you mean quarantine?`,
		"orders --ouput json":              "sine-relay orders: unknown flag --ouput; did you mean --output?",
		"orders -x":                        "sine-relay orders: unknown flag -x",
		"orders --output":                  "sine-relay orders: --output needs a value",
		"orders --output jsn":              `sine-relay orders: --output: "jsn" is not one of table, json; did you mean json?`,
		"orders now":                       `sine-relay orders: takes no arguments, but has "now"`,
		"serve debug":                      `sine-relay serve: takes no arguments, but has "debug"`,
		"serve --log-levl=debug":           "sine-relay serve: unknown flag --log-levl; did you mean --log-level?",
		"serve --keys=Zsecret":             "sine-relay serve: --keys: everybody on this machine could read the secret there: set SINE_RELAY_KEYS or SINE_RELAY_KEYS_FILE",
		"explain":                          "sine-relay explain: needs <reference>",
		"explain K7Q2M K7Q2N":              `sine-relay explain: has an argument too many: "K7Q2N"`,
		"explain K7":                       `sine-relay explain: "K7" is not a reference: it has five characters, as the visitor was shown, or is the whole request id`,
		"explain K7Q2M --since soon":       `sine-relay explain: --since: must be a duration such as 500ms, 2.5s or 30d, got "soon"`,
		"lockdown --all-sites --accept":    "sine-relay lockdown: unknown flag --accept",
		"lockdown":                         "sine-relay lockdown: either --site or --all-sites is needed",
		"lockdown --site hq --wait 2m":     "sine-relay lockdown: --wait must be between 0s and 1m",
		"override --site hq":               "sine-relay override: --accept is missing: every visitor is let in without a check",
		"override --site hq --accept":      "sine-relay override: an override requires a time at which it ends",
		"quarantine replay --delete":       "sine-relay quarantine replay: --delete needs --submit",
		"rederive":                         "sine-relay rederive: --since is missing: how far to look back, as in 7d",
		"rederive --since soon":            `sine-relay rederive: --since: must be a time as of RFC 3339, or how long ago it was, such as 12h or 7d, got "soon"`,
		"rederive --since 1d --until 2d":   "sine-relay rederive: --until must be after --since",
		"rederive --since 1d --site a.b":   `sine-relay rederive: "a.b" is not the name of a site: it must match [A-Za-z0-9_-]{1,64}`,
		"quarantine show one":              `sine-relay quarantine show: "one" is not the sequence number of a message; sine-relay quarantine ls --all shows them`,
		"quarantine ls --reason not_jsn":   `sine-relay quarantine ls: --reason: "not_jsn" is not one of not_json, not_utf8, unknown_encoding, bad_encoding, too_deep, unknown_event, incomplete, too_large, refused; did you mean not_json?`,
		"ask --site hq --integration dock": "sine-relay ask: either --integration or --site is needed, and not both",
		"ask --decider hr":                 "sine-relay ask: --decider needs --site",
		"spool ls":                         "sine-relay spool ls: --dir is missing, and SINE_RELAY_SPOOL_DIR is not set",
		"config urls relay.example.com":    `sine-relay config urls: "relay.example.com" is not the URL at which Sine reaches the relay; write for example https://relay.example.com`,
		"verify --admin relay":             `sine-relay verify: --admin: "relay" is not a URL; write for example http://sine-relay:8080`,
		"completion tcsh":                  `sine-relay completion: "tcsh" is not a shell that is supported; there are bash, zsh, fish, powershell`,
	} {
		code, out, errOut := run(t, nil, strings.Fields(args)...)
		command, _, _ := strings.Cut(want, ":")
		if want += "\nSee " + command + " --help\n"; code != ExitUsage || out != "" || errOut != want {
			t.Errorf("%s ended with %d:\n%s%s\nwant:\n%s", args, code, out, errOut, want)
		}
	}
}

func TestRun_FlagsAreWrittenInBothWays(t *testing.T) {
	for _, args := range [][]string{
		{"version", "--output=json"}, {"version", "--output", "json"}, {"version", "-o", "json"}, {"version", "-ojson"},
	} {
		if code, out, errOut := run(t, nil, args...); code != ExitDone || !strings.HasPrefix(out, "{\n  \"version\": ") {
			t.Errorf("%q ended with %d: %s%s", args, code, out, errOut)
		}
	}
}

// Whoever has no argument must not get those of the program that runs the tests.
func TestRun_WithoutACommandPrintsTheHelp(t *testing.T) {
	code, out, errOut := run(t, nil)
	if code != ExitDone || errOut != "" || !strings.Contains(out, "\nOperate it:\n") {
		t.Errorf("ended with %d: %s%s", code, out, errOut)
	}
}

// A setting that is given as a flag is the one that counts, and is checked as ever.
func TestServe_TakesSettingsAsFlags(t *testing.T) {
	environ := []string{"SINE_RELAY_LOG_LEVEL=info"}
	for flag, want := range map[string]string{
		"--log-level=loud": `SINE_RELAY_LOG_LEVEL: must be debug, info, warn or error, got "loud"`, "--store-budget soon": "SINE_RELAY_STORE_BUDGET: ",
		"--nats-listen-plaintext=2": "SINE_RELAY_NATS_LISTEN_PLAINTEXT: ", "--event-stream-max-age 1h": "SINE_RELAY_EVENT_STREAM_MAX_AGE: ",
	} {
		code, _, errOut := run(t, environ, append([]string{"serve"}, strings.Fields(flag)...)...)
		if code != ExitUsage || !strings.Contains(errOut, want) {
			t.Errorf("%s ended with %d: %s", flag, code, errOut)
		}
	}
	if !slices.Equal(environ, []string{"SINE_RELAY_LOG_LEVEL=info"}) {
		t.Errorf("the environment is now %q", environ)
	}
}

func TestCompletion_ScriptsAreMadeForFourShells(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, script, errOut := run(t, nil, "completion", shell)
		if code != ExitDone || errOut != "" || !strings.Contains(script, "sine-relay") {
			t.Errorf("%s ended with %d: %s", shell, code, errOut)
		}
		if shell != "bash" {
			continue
		}
		check := exec.Command("bash", "-n")
		check.Stdin = strings.NewReader(script)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("bash does not accept the script: %v: %s", err, out)
		}
	}
}

func TestCompletion_KnowsCommandsFlagsAndValues(t *testing.T) {
	for args, want := range map[string]string{
		"quarantine ": "replay\tRead", "orders --out": "--output\t", "orders --output ": "json\n",
		"quarantine ls --reason not_": "not_json\n", "completion ": "powershell\n", "orders ": ":4\n",
	} {
		_, out, _ := run(t, nil, append([]string{"__complete"}, strings.Split(args, " ")...)...)
		if !strings.Contains(out, want) {
			t.Errorf("%q is completed by:\n%s", args, out)
		}
	}
}
