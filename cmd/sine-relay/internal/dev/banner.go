package dev

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/config"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/sample"
	"github.com/sine-relay/sine-relay/cmd/sine-relay/internal/terminal"
	"github.com/sine-relay/sine-relay/relay"
)

// banner is what dev prints when everything runs. What is to be pasted takes its date
// from the terminal that it is pasted into.
var banner = template.Must(template.New("dev").Parse(`
  Desk     {{.Desk}}   open it in a browser: check a visitor in on the page "Try it"

Sine Relay {{.Version}} is running. Ctrl-C ends it.

  Webhook  {{.Webhook}}
  Key      {{.Key.Shown}}   (header x-sine-auth)
  NATS     {{.NATS}}
{{- range .Users}}
    {{printf "%-9s" .Name}} {{.Password}}   {{.URL}}   {{.Does}}
{{- end}}
  Admin    {{.Admin}}/readyz?verbose  {{.Admin}}/metrics
{{- if .Dir}}
  State    {{.Dir}}
{{- end}}

From another terminal{{.Key.Where}}:
{{- with .Trouble}}

The bodies below are made up, and {{.}}. Send one of Sine's in their place: -d @body.json
{{- end}}

A visitor asks to check in. The example decider accepts, unless the company is missing or called Denied:

  {{.Curl "signin_before"}} {{.Webhook}}

She is checked in. The call is sent twice: the repeat is recognised, and stored once.

  {{.Curl "signin_after"}} {{.Webhook}} {{.Webhook}}

She is checked out:

  {{.Curl "signout_after"}} {{.Webhook}}
{{with .Operator}}
Reject every visitor until you lift it, and explain a decision by the reference of a line below:

  export SINE_RELAY_NATS_URL={{.}}
  {{$.Program}} lockdown --site {{$.Site}} --message 'Please leave the building.'
  {{$.Program}} lockdown lift --site {{$.Site}}
  {{$.Program}} explain REFERENCE
{{end}}
A decider of your own takes over from the example while it runs. Decisions and events appear here as they arrive:

`))

// bannerData is what the banner shows.
type bannerData struct {
	Desk, Version, Webhook, NATS, Operator, Program, Site, Admin, Dir string

	Users []natsUser
	Key   bannerKey
	TLS   bool
	// Trouble says why the integration cannot use the made-up bodies.
	Trouble string
}

// Curl is a command that sends one of Sine's calls, but for the URL.
func (d bannerData) Curl(event string) string {
	unchecked := ""
	if d.TLS { // its certificate is for the name that Sine calls
		unchecked = " -k"
	}
	return fmt.Sprintf(`curl -i%s -H %s -H 'content-type: application/json' -d '%s'`, unchecked, d.Key.Header, sample.Body(event, "'$(date -u +%FT%TZ)'"))
}

// printBanner shows a newcomer where everything is, the desk first.
func (d *demo) printBanner(desk, made string) {
	scheme := "http"
	if d.Settings.TLSCertFile != "" {
		scheme = "https"
	}
	integration := d.sampleIntegration()
	address, users := d.natsUsers()
	operator := ""
	if d.Embedded != nil {
		operator = d.Embedded.ClientURL(embedded.UserOperator)
	}
	err := banner.Execute(d.Stdout, bannerData{
		Desk:     desk,
		Version:  d.Version,
		Webhook:  scheme + "://" + reachable(d.PublicAddr()) + relay.Path(integration.Name, ""),
		Key:      sampleKey(d.Environ, d.Settings.KeysDir, integration, made),
		TLS:      scheme == "https",
		NATS:     address,
		Users:    users,
		Operator: operator,
		Program:  programName(),
		Site:     integration.Site,
		Admin:    "http://" + reachable(d.AdminAddr()),
		Dir:      absolute(d.Settings.NATSStoreDir),
		Trouble:  sample.Trouble(d.Settings, integration.Name),
	})
	if err != nil {
		fmt.Fprintln(d.Stdout, err)
	}
}

// sampleIntegration is one to try: with a key and for callers from everywhere, if
// there is one.
func (d *demo) sampleIntegration() relay.Integration {
	all := d.Settings.Integrations
	open := func(i relay.Integration) bool { return len(i.Keys) > 0 && len(i.AllowFrom) == 0 }
	keyed := func(i relay.Integration) bool { return len(i.Keys) > 0 }
	for _, suits := range []func(relay.Integration) bool{open, keyed} {
		if i := slices.IndexFunc(all, suits); i >= 0 {
			return all[i]
		}
	}
	return append(all, relay.Integration{Name: relay.DefaultIntegration, Site: relay.DefaultIntegration})[0]
}

func absolute(file string) string {
	if path, err := filepath.Abs(file); err == nil && file != "" {
		return path
	}
	return file
}

// programName is what starts this program from another terminal.
func programName() string {
	path, err := os.Executable()
	switch found, missing := exec.LookPath("sine-relay"); {
	case err != nil || strings.Contains(path, "go-build"): // by go run, which removes it
		return "go run ./cmd/sine-relay"
	case missing == nil && absolute(found) == path:
		return "sine-relay"
	default:
		return terminal.Quoted(path)
	}
}

// natsUser is how a program signs in to the embedded NATS.
type natsUser struct{ Name, Password, URL, Does string }

// natsUsers are those that a newcomer's programs may be, and where they connect.
func (d *demo) natsUsers() (address string, users []natsUser) {
	if d.Embedded == nil { // whose URL may hold a password
		return cmp.Or(d.Broker.Status().Server, "not connected yet"), nil
	}
	for name, does := range map[string]string{
		embedded.UserConsumer: "receives events", embedded.UserDecider: "answers check-in requests",
		embedded.UserOperator: "runs the commands below",
	} {
		users = append(users, natsUser{name, d.Embedded.Password(name), d.Embedded.ClientURL(name), does})
	}
	slices.SortFunc(users, func(a, b natsUser) int { return strings.Compare(a.Name, b.Name) })
	return d.Embedded.URL() + "   as one of these users: name, password, both in a URL", users
}

// reachable turns an address to listen on into one to call.
func reachable(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	return address.String()
}

// bannerKey is the API key for what is to be pasted. One that was given to dev is a
// secret of somebody else, and may be in a recording of the terminal: it is named, and
// the shell that a command is pasted into reads it.
type bannerKey struct {
	Shown  string // for people
	Header string // for a shell, in quotes
	Where  string // what the other terminal must have
}

// sampleKey names the key of an integration; made is the one that dev made, or empty.
func sampleKey(environ []string, keysDir string, i relay.Integration, made string) bannerKey {
	if made != "" {
		return bannerKey{Shown: made, Header: terminal.Quoted("x-sine-auth: " + made)}
	}
	_, variable := config.Lookup(environ, config.Prefix+"KEYS")
	file, listed := config.Lookup(environ, config.Prefix+"KEYS_FILE")
	switch isDefault := i.Name == relay.DefaultIntegration; {
	case len(i.Keys) == 0:
		return bannerKey{Shown: "none: every call of " + i.Name + " is answered 401 until it has a key", Header: "'x-sine-auth: KEY'"}
	case isDefault && variable:
		return bannerKey{
			Shown: "the first of SINE_RELAY_KEYS", Header: `"x-sine-auth: ${SINE_RELAY_KEYS%%,*}"`,
			Where: ", with SINE_RELAY_KEYS exported as in this one",
		}
	case isDefault && listed:
		file = absolute(file)
		return bannerKey{Shown: "the first in " + file, Header: `"x-sine-auth: $(` + firstLine(file) + ` | cut -d , -f 1)"`}
	default:
		file = absolute(filepath.Join(keysDir, i.Name))
		return bannerKey{Shown: "the first in " + file, Header: `"x-sine-auth: $(` + firstLine(file) + `)"`}
	}
}

// firstLine is a command that prints the first line of keys of a file.
func firstLine(file string) string {
	return `grep -m 1 -vE '^[[:space:]]*(#|$)' ` + terminal.Quoted(file)
}
