package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// operators are the commands of sine-relay for which an operator's credentials are
// meant. The others are run with the relay's settings.
var operators = []string{"lockdown", "override", "orders", "ask", "deciders", "explain", "visits", "tail", "quarantine", "learn", "rederive"}

// exempt are not run, and why.
var exempt = map[string]string{
	"sine-relay dev":                    "runs beside all others",
	"sine-relay lockdown":               "named without its site, and run with one elsewhere",
	"sine-relay explain":                "named without its reference, and run with one elsewhere",
	"sine-relay learn":                  "named without its integration, and run with one elsewhere",
	"sine-relay learn --rejection":      "named without its integration, and run with one elsewhere",
	"sine-relay decode --values":        "named without its file, and run with one elsewhere",
	"sine-relay quarantine show --body": "named without its sequence, and run with one elsewhere",
	"sine-relay rederive":               "named without --since, and run with it elsewhere",
	"sine-relay spool drain":            "named without its directory, and run with one elsewhere",
}

// run carries a command out as its reader would.
func (s *stage) run(c command) (err error) {
	if exempt[c.text] != "" || strings.HasSuffix(c.text, "sine-relay serve") || strings.HasSuffix(c.text, "sine-relay desk") { // they run beside all others
		return nil
	}
	before := len(s.refused())
	words := split(c.text)
	if words[0] == "curl" && strings.Contains(c.text, "x-sine-auth") {
		return s.callDev(words)
	}
	if strings.Contains(c.text, "$(cat ") || strings.Contains(c.text, "=$NATS_URL") {
		return s.onEmbedded(words)
	}
	switch {
	case words[0] == "curl":
		words[len(words)-1] = strings.Replace(words[len(words)-1], "http://127.0.0.1:8222", s.monitor, 1)
		_, err = s.execute(s.environment(), words...)
	case words[0] == "nats":
		err = s.runNATS(c, words)
	default:
		err = s.runRelay(words)
	}
	if refused := s.refused(); err == nil && len(refused) > before {
		err = fmt.Errorf("NATS refused: %s", refused[len(refused)-1])
	}
	return err
}

// callDev calls the webhook of dev, as a reader whose dev has the usual port.
func (s *stage) callDev(words []string) error {
	for n, word := range words {
		words[n] = strings.NewReplacer("$(cat .sine-relay/dev-key)", s.dev.key, "http://127.0.0.1:8080/sine/default", s.dev.webhook).Replace(word)
	}
	out, err := s.execute(s.environment(), words...)
	if err == nil && !strings.Contains(out, `"code"`) {
		err = fmt.Errorf("the relay answered %s", out)
	}
	return err
}

var violation = regexp.MustCompile(`.*Violation.*`)

// onEmbedded runs a command on the embedded NATS, in its folder of passwords.
func (s *stage) onEmbedded(words []string) error {
	file := regexp.MustCompile(`^\$\(cat (\w+)\)$`)
	env, dir := append(s.environment(), "NATS_URL="+s.dev.nats), s.path(".sine-relay/nats-passwords")
	for strings.Contains(words[0], "=") {
		env = append(env, strings.Replace(words[0], "$NATS_URL", s.dev.nats, 1))
		words = words[1:]
	}
	for n, word := range words {
		if m := file.FindStringSubmatch(word); m != nil {
			secret, err := os.ReadFile(filepath.Join(dir, m[1]))
			if err != nil {
				return err
			}
			words[n] = strings.TrimSpace(string(secret))
		}
	}
	text := strings.Join(words, " ")
	if err := s.prepare(text); err != nil {
		return err
	}
	return replied(s.executeIn(dir, env, append(words, besides(text)...)...))
}

// replied is the error of a command, but for that of nats reply, which with a count ends
// with 1.
func replied(out string, err error) error {
	if strings.Contains(out, "Received on subject") {
		return nil
	}
	return err
}

// refused are the lines of NATS' log that say that something is not permitted, but
// for the one by which the relay's user learns which inbox is its own.
func (s *stage) refused() []string {
	log, _ := os.ReadFile(s.path("nats.log"))
	all := violation.FindAllString(string(log), -1)
	return slices.DeleteFunc(all, func(line string) bool {
		return strings.Contains(line, `user:relay" - Subscription Violation - Subject "_INBOX.`) ||
			// config check --connect says that this user may not read events.
			strings.Contains(line, `user:relay" - Publish Violation - Subject "$JS.API.DIRECT.GET.VISITORS"`)
	})
}

// runNATS runs a command of nats. One that is only named is looked up in its help.
func (s *stage) runNATS(c command, words []string) error {
	switch {
	case slices.Contains(words, "--context"), slices.Contains(words, "--user"):
	case c.inline && !strings.Contains(c.text, " -") && strings.ToLower(c.text) == c.text:
		_, err := s.execute(s.environment(), append(words, "--help")...)
		return err
	case c.inline && strings.Contains(c.text, "--discard new"): // as the relay prints it
		words = slices.Insert(words, 1, "--context", "admin")
	default:
		return errors.New("it does not say by --context or --user whose it is")
	}
	text := strings.Join(words, " ")
	if err := s.prepare(text); err != nil {
		return err
	}
	server, secret := s.nats, password
	if strings.Contains(text, "--server nats://127.0.0.1:4222 --user consumer") {
		server, secret = s.dev.nats, s.dev.password
	}
	for n, word := range words {
		switch word {
		case "$NATS_URL", "nats://127.0.0.1:4222":
			words[n] = server
		case "$PASSWORD", "$ADMIN_PASSWORD", "$OPERATOR_PASSWORD":
			words[n] = secret
		case "$f":
			words[n] = "deploy/nats/streams/VISITORS.json"
		case "SEQUENCE", "REVISION":
			last, err := s.last(words[n-1])
			if err != nil {
				return err
			}
			words[n] = fmt.Sprint(last)
		}
	}
	return errors.Join(replied(s.execute(s.environment(), append(words, besides(text)...)...)), s.restore(text))
}

// besides is what a reader does beside the command: one server alone wants one
// replica, a question is answered, and a subscriber is ended.
func besides(text string) []string {
	switch {
	case strings.Contains(text, " stream add "):
		return []string{"--replicas", "1"}
	case strings.Contains(text, " subscribe "), strings.Contains(text, " reply "):
		return []string{"--count", "1"}
	case strings.Contains(text, " stream rm"), strings.Contains(text, " stream purge "), strings.Contains(text, " stream edit "):
		return []string{"--force"} // it asks back on a terminal only
	}
	return nil
}

// runRelay runs a command of sine-relay.
func (s *stage) runRelay(words []string) error {
	env := s.environment()
	for strings.Contains(words[0], "=") {
		env, words = append(env, words[0]), words[1:]
	}
	switch own := strings.HasPrefix(words[0], "/") || !slices.Contains(operators, words[1]); {
	case slices.Contains(env, "SINE_RELAY_SITE=default"): // the only site of dev
		env = append(env, s.ofDev()...)
	case len(env) > len(s.environment()), slices.Contains(words, "--context"):
	case slices.Contains(words, "default"): // the site of dev
		env = append(env, s.ofDev()...)
	case own:
		env = append(env, s.ofRelay()...)
	case words[1] == "ask" && slices.Contains(words, "--site"): // without the relay's integrations
		env = append(env, s.ofOperator()[:3]...)
	default:
		env = append(env, s.ofOperator()...)
	}
	words[0] = "sine-relay"
	if slices.Contains(words, "lift") && !slices.Contains(words, "default") {
		if err := s.order(words[1]); err != nil {
			return err
		}
	}
	for n, word := range words {
		var err error
		switch word {
		case "K7Q2M", "REFERENCE":
			words[n] = s.reference
		case "DIR", "/var/lib/sine-relay/spool":
			words[n], err = s.spoolLeftBehind()
		case "17":
			err = s.visitors()
			last, found := s.last("VISITOR_QUARANTINE")
			words[n], err = fmt.Sprint(last), errors.Join(err, found)
		}
		if err != nil {
			return err
		}
	}
	if slices.Contains(words, "--rejection") {
		return s.reject(env, words)
	}
	if words[1] == "tail" { // until it is interrupted
		words = append([]string{"timeout", "--preserve-status", "--signal=INT", "3"}, words...)
	}
	out, err := s.execute(env, words...)
	if err != nil && words[1] == "ask" && strings.Contains(out, "override of hq") {
		return nil // it ends with 1 where an order answers
	}
	return err
}

// reject is the test visit of a visitor whom the relay rejects, in dev by its company: the
// iPad has answered, and has shown the text. Elsewhere nobody rejects, and whoever tries
// is told so.
func (s *stage) reject(env, words []string) error {
	body, url, secret, want := "Denied", s.dev.webhook, s.dev.key, "Sine obeys the rejection"
	if !slices.Contains(env, "SINE_RELAY_SITE=default") {
		url, secret, want = "http://"+s.webhook+"/sine/hq-lobby", key, "the relay accepted the visitor"
	}
	time.AfterFunc(time.Second, func() { postOf(url, secret, "signin_before", body) })
	s.stdin = "\n1\n1\n" // the iPad has answered; which visitor, where several have come; the text was shown
	defer func() { s.stdin = "" }()
	out, err := s.execute(env, words...)
	if !strings.Contains(out, want) {
		return fmt.Errorf("it does not say %q: %s, %w", want, out, err)
	}
	return nil
}

// spoolLeftBehind is a copy of the relay's, which nobody has open.
func (s *stage) spoolLeftBehind() (string, error) {
	dir, err := os.MkdirTemp(s.path("."), "left-")
	if err != nil {
		return "", err
	}
	return dir, os.CopyFS(dir, os.DirFS(s.path("spool")))
}

// environment is that of a shell in which contexts are known.
func (s *stage) environment() []string {
	return []string{"HOME=" + s.dir, "XDG_CONFIG_HOME=" + s.path("config"), "TERM=dumb", "PATH=" + s.programs + ":" + os.Getenv("PATH")}
}

// execute runs a command in a folder that has the pages' files, and returns what it
// prints. A fault is an error, too much time, and what is out of date.
func (s *stage) execute(env []string, words ...string) (string, error) {
	return s.executeIn(s.dir, env, words...)
}

func (s *stage) executeIn(dir string, env []string, words ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	program := words[0]
	if own := filepath.Join(s.programs, program); exists(own) {
		program = own
	}
	cmd := exec.CommandContext(ctx, program, words[1:]...)
	if slices.Contains(words, "view") { // it pages on a terminal only
		cmd = exec.CommandContext(ctx, "script", "--quiet", "--return", "--command", quoted(append([]string{program}, words[1:]...)), "/dev/null")
	}
	cmd.Dir, cmd.Env, cmd.WaitDelay, cmd.Stdin = dir, env, time.Second, strings.NewReader(s.stdin)
	out, err := cmd.CombinedOutput()
	switch text := string(out); {
	case err != nil:
		return text, fmt.Errorf("%w: %s", err, text)
	case strings.Contains(text, "deprecated"), strings.Contains(text, "ermissions violation"):
		return text, errors.New(text)
	default:
		return text, nil
	}
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

var word = regexp.MustCompile(`"([^"]*)"|'([^']*)'|(\S+)`)

// split takes a line apart as a shell does, as far as the pages need it.
func split(line string) (words []string) {
	for _, m := range word.FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2]+m[3])
	}
	return words
}

func quoted(words []string) string {
	var all []string
	for _, w := range words {
		all = append(all, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
	}
	return strings.Join(all, " ")
}
