package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// DefaultContext is the context of the nats command that NATS_CONTEXT names, where no
// setting of ours says where NATS is; else it is empty. The one that is selected there
// never counts: whoever selects another one for other work would send the next lockdown
// to another NATS.
func DefaultContext(environ []string) string {
	if valueOf(environ, Prefix+"NATS_URL") != "" || valueOf(environ, Prefix+"NATS_URL_FILE") != "" {
		return ""
	}
	return valueOf(environ, "NATS_CONTEXT")
}

// InContext loads settings with the connection of a context of the nats command in
// place of all that environ says about one: the two are not mixed, so that no password
// goes to a server that it is not meant for. Without a name it is load(environ).
func InContext(environ []string, name string, load func(environ []string) (Settings, error)) (Settings, error) {
	if name == "" {
		return load(environ)
	}
	c, err := readContext(environ, name)
	if err != nil {
		return Settings{}, err
	}
	s, err := load(slices.Concat(withoutConnection(environ), c.environ))
	var f Problems
	if errors.As(err, &f) {
		return s, c.explained(f)
	}
	return s, err
}

// ContextNames are the contexts that there are.
func ContextNames(environ []string) (names []string) {
	files, _ := filepath.Glob(filepath.Join(contextDir(environ), "*.json"))
	for _, file := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
	return names
}

// OrContext says that a context could stand for settings, or nothing where there is none.
func OrContext(environ []string) string {
	names := ContextNames(environ)
	if len(names) == 0 {
		return ""
	}
	return ", or choose a context of the nats command with --context: " + strings.Join(names, ", ")
}

// natsContext is what `nats context add` wrote, as settings.
type natsContext struct {
	name    string
	environ []string
}

// contextFields are those that stand for a setting. One whose name begins as
// another's does stands before it.
var contextFields = []contextField{
	{"creds", "NATS_CREDENTIALS_FILE", fileField}, {"nkey", "NATS_NKEY_FILE", fileField},
	{"ca", "NATS_CA_FILE", fileField}, {"cert", "NATS_CERT_FILE", fileField}, {"key", "NATS_KEY_FILE", fileField},
	{"password", "NATS_PASSWORD_FILE", 0}, {"password", "NATS_PASSWORD", secretField},
	{"token", "NATS_TOKEN_FILE", 0}, {"token", "NATS_TOKEN", secretField},
	{"user", "NATS_USER", textField}, {"inbox_prefix", "NATS_INBOX_PREFIX", textField},
	{"tls_first", "NATS_TLS_HANDSHAKE_FIRST", textField}, {"url", "NATS_URL", textField},
}

type contextField struct {
	name, setting string
	kind          fieldKind // 0 where the setting is another one's file
}

type fieldKind int

const (
	textField fieldKind = iota + 1
	fileField
	// secretField may be a reference to where the secret is.
	secretField
)

// besides are settings of another connection that no field stands for.
var besides = []string{"NATS_URL_FILE", "NATS_STORE_DIR"}

// immaterial are fields of a context that change nothing about a connection.
var immaterial = []string{"name", "description", "color_scheme", "jetstream_event_prefix"}

// instead is what to do where a field cannot be used.
var instead = map[string]string{
	"nsc":                  `; name the user's credentials file in "creds", as nsc generate creds writes it`,
	"user_jwt":             `; write it and its seed to a credentials file, and name that in "creds"`,
	"user_seed":            `; write it and its JWT to a credentials file, and name that in "creds"`,
	"jetstream_domain":     "; sine-relay reaches the streams without a domain only",
	"jetstream_api_prefix": "; sine-relay reaches the streams by $JS.API only",
	"socks_proxy":          "; sine-relay reaches NATS without a proxy only",
}

func readContext(environ []string, name string) (natsContext, error) {
	c := natsContext{name: name}
	var f Problems
	content, err := contextFile(environ, name)
	if err != nil {
		f.add(c.where(), "%v", err)
		return c, f
	}
	var fields map[string]any
	if json.Unmarshal(content, &fields) != nil {
		f.add(c.where(), "the file is not a JSON object as written by nats context add")
		return c, f
	}
	maps.DeleteFunc(fields, func(_ string, value any) bool { return isUnset(value) })
	if fields["url"] == nil {
		fields["url"] = "nats://127.0.0.1:4222" // as for the nats command
	}
	fields["url"] = asURLs(fmt.Sprint(fields["url"]), fields["tls_first"] != nil)
	for _, field := range contextFields {
		value, set := fields[field.name]
		if !set || field.kind == 0 {
			continue
		}
		setting, err := settingOf(environ, field.setting, fmt.Sprint(value), field.kind)
		if err != nil {
			f.add(c.field(field.name), "%v", err)
		}
		c.environ = append(c.environ, Prefix+setting)
	}
	for _, field := range contextFields {
		delete(fields, field.name)
	}
	for _, field := range sortedKeys(fields) {
		if !slices.Contains(immaterial, field) {
			f.add(c.field(field), "is not supported%s", instead[field])
		}
	}
	if len(f) > 0 {
		return c, f
	}
	return c, nil
}

// contextDir is where the nats command has its contexts.
func contextDir(environ []string) string {
	base := valueOf(environ, "XDG_CONFIG_HOME")
	if base == "" {
		base = filepath.Join(homeOf(environ), ".config")
	}
	return filepath.Join(base, "nats", "context")
}

func homeOf(environ []string) string {
	if home := valueOf(environ, "HOME"); home != "" {
		return home
	}
	home, _ := os.UserHomeDir()
	return home
}

// contextFile returns the content of the file of a context.
func contextFile(environ []string, name string) ([]byte, error) {
	if strings.Contains(name, "..") || strings.ContainsAny(name, `/\`) {
		return nil, errors.New("must be the name of a context, without a path")
	}
	dir := contextDir(environ)
	content, err := readRegular(filepath.Join(dir, name+".json"), largestFile)
	if !errors.Is(err, os.ErrNotExist) {
		return content, err
	}
	names := ContextNames(environ)
	if len(names) == 0 {
		return nil, fmt.Errorf("no context in %s; create one with nats context add", dir)
	}
	return nil, fmt.Errorf("no such context in %s%s; contexts: %s", dir, DidYouMean(name, names), strings.Join(names, ", "))
}

// isUnset reports whether the nats command takes a value for none.
func isUnset(value any) bool {
	list, isList := value.([]any)
	return value == nil || value == "" || value == false || isList && len(list) == 0
}

// asURLs completes servers that are written without a scheme, as the nats command
// does, and those that begin with the TLS handshake.
func asURLs(servers string, tlsFirst bool) string {
	all := strings.Split(servers, ",")
	for i, server := range all {
		server = strings.TrimSpace(server)
		if !strings.Contains(server, "://") {
			server = "nats://" + server
		}
		if tlsFirst && strings.HasPrefix(server, "nats://") {
			server = "tls" + strings.TrimPrefix(server, "nats")
		}
		all[i] = server
	}
	return strings.Join(all, ",")
}

// settingOf is a setting, as in NATS_TOKEN=…, that has the value of a field. Its errors
// quote no value.
func settingOf(environ []string, setting, value string, kind fieldKind) (string, error) {
	scheme, reference, isReference := strings.Cut(value, ":")
	isReference = isReference && slices.Contains([]string{"file", "env", "op", "nsc", "data"}, scheme)
	path := strings.TrimPrefix(strings.TrimPrefix(value, "file://"), "file:")
	switch {
	case kind == textField, kind == secretField && !isReference:
		return setting + "=" + value, nil
	case kind == fileField && (!isReference || scheme == "file"):
		return setting + "=" + expanded(environ, path), nil
	case kind == secretField && scheme == "file":
		return setting + "_FILE=" + expanded(environ, path), nil
	case kind == secretField && scheme == "env":
		name := strings.TrimPrefix(reference, "//")
		if valueOf(environ, name) == "" {
			return "", fmt.Errorf("refers to the variable %s, which is not set", name)
		}
		return setting + "=" + valueOf(environ, name), nil
	case kind == fileField:
		return "", fmt.Errorf("refers to %s:, which is not supported; name a file", scheme)
	default:
		return "", fmt.Errorf("refers to %s:, which is not supported; refer to file:// or env://", scheme)
	}
}

// expanded is a path with a home directory and variables, as the nats command reads it.
func expanded(environ []string, path string) string {
	path = os.Expand(path, func(name string) string { return valueOf(environ, name) })
	if rest, home := strings.CutPrefix(path, "~"); home {
		path = homeOf(environ) + rest
	}
	return path
}

// withoutConnection leaves out what says where NATS is and who signs in.
func withoutConnection(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		short, ours := strings.CutPrefix(name, Prefix)
		return ours && (slices.Contains(besides, short) || slices.ContainsFunc(contextFields, func(f contextField) bool { return f.setting == short }))
	})
}

// explained names the context's fields where a problem names settings.
func (c natsContext) explained(f Problems) Problems {
	var names []string
	for _, field := range contextFields {
		names = append(names, Prefix+field.setting, c.field(field.name))
	}
	replacer := strings.NewReplacer(names...)
	explained := slices.Clone(f)
	for i := range explained {
		explained[i].Where, explained[i].What = replacer.Replace(f[i].Where), replacer.Replace(f[i].What)
	}
	return explained
}

func (c natsContext) where() string { return fmt.Sprintf("NATS context %q", c.name) }

func (c natsContext) field(name string) string { return fmt.Sprintf("%s of %s", name, c.where()) }

// valueOf is the value of a variable, or empty.
func valueOf(environ []string, name string) (value string) {
	for _, pair := range environ {
		if v, found := strings.CutPrefix(pair, name+"="); found {
			value = v
		}
	}
	return value
}
