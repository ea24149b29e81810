package main

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/sine-relay/sine-relay/broker/embedded"
	"github.com/sine-relay/sine-relay/relay"
)

// introduction is what dev prints when everything runs.
var introduction = template.Must(template.New("dev").Parse(`
Sine Relay {{.Version}} is running. Ctrl-C ends it.

  Webhook  {{.Webhook}}
{{- if .Key}}
  Key      {{.Key}}   (header x-sine-auth)
{{- end}}
  NATS     {{.NATS}}
{{- range .Users}}
    {{printf "%-9s" .Name}} {{.Password}}   {{.URL}}   {{.Does}}
{{- end}}
  Admin    {{.Admin}}/readyz?verbose  {{.Admin}}/metrics
{{- if .Dir}}
  State    {{.Dir}}
{{- end}}
{{if .Key}}
A visitor asks to come in. The example decider says yes, unless the company is called Denied:

  curl -i -H 'x-sine-auth: {{.Key}}' -H 'content-type: application/json' {{.Webhook}} -d '{"event":"signin_before","date":"{{.Now}}","data":{"firstName":"Marguerite","lastName":"Oyelaran","company":"Bexley Rigging"}}'

She is checked in. Send it twice: the repeat is recognised, and stored once.

  curl -i -H 'x-sine-auth: {{.Key}}' -H 'content-type: application/json' {{.Webhook}} -d '{"event":"signin_after","date":"{{.Now}}","data":{"firstName":"Marguerite","lastName":"Oyelaran","company":"Bexley Rigging"}}'

She is checked out:

  curl -i -H 'x-sine-auth: {{.Key}}' -H 'content-type: application/json' {{.Webhook}} -d '{"event":"signout_after","date":"{{.Now}}","data":{"firstName":"Marguerite","lastName":"Oyelaran","company":"Bexley Rigging"}}'
{{end}}
{{- with .Operator}}
Nobody comes in any more, until you lift it. From another terminal:

  SINE_RELAY_NATS_URL={{.}} sine-relay lockdown --site {{$.Site}} --message 'Please leave the building.'
  SINE_RELAY_NATS_URL={{.}} sine-relay lockdown lift --site {{$.Site}}
{{end}}
Events appear here as they arrive:

`))

// introduce tells a newcomer where everything is.
func (a *app) introduce(out io.Writer, key string) {
	scheme := "http"
	if a.settings.TLSCertFile != "" {
		scheme = "https"
	}
	integration, site := "…", "…"
	if len(a.settings.Integrations) > 0 {
		integration, site = a.settings.Integrations[0].Name, a.settings.Integrations[0].Site
	}
	dir := a.settings.NATSStoreDir
	if absolute, err := filepath.Abs(dir); err == nil && dir != "" {
		dir = absolute
	}
	address, users := a.natsUsers()
	operator := ""
	if a.embedded != nil {
		operator = a.embedded.ClientURL(embedded.UserOperator)
	}
	err := introduction.Execute(out, map[string]any{
		"Version":  versionOf(),
		"Webhook":  scheme + "://" + reachable(a.publicSocket.Addr()) + relay.Path(integration, ""),
		"Key":      key,
		"NATS":     address,
		"Users":    users,
		"Operator": operator,
		"Site":     site,
		"Admin":    "http://" + reachable(a.adminSocket.Addr()),
		"Dir":      dir,
		"Now":      time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
	})
	if err != nil {
		fmt.Fprintln(out, err)
	}
}

// natsUser is how a program signs in to the embedded NATS.
type natsUser struct{ Name, Password, URL, Does string }

// natsUsers are those that a newcomer's programs may be, and where they connect.
func (a *app) natsUsers() (address string, users []natsUser) {
	if a.embedded == nil {
		return strings.Join(a.settings.NATSServers(), ","), nil
	}
	for name, does := range map[string]string{
		embedded.UserConsumer: "receives events", embedded.UserDecider: "answers check-in requests",
		embedded.UserOperator: "gives orders, explains",
	} {
		users = append(users, natsUser{name, a.embedded.Password(name), a.embedded.ClientURL(name), does})
	}
	slices.SortFunc(users, func(a, b natsUser) int { return strings.Compare(a.Name, b.Name) })
	return a.embedded.URL() + "   as one of these users: name, password, both in a URL", users
}

// reachable turns an address to listen on into one to call.
func reachable(address net.Addr) string {
	tcp, ok := address.(*net.TCPAddr)
	if ok && tcp.IP.IsUnspecified() {
		return net.JoinHostPort("localhost", strconv.Itoa(tcp.Port))
	}
	return address.String()
}
