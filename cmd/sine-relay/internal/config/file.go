package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strconv"

	"go.yaml.in/yaml/v4"

	"github.com/sine-relay/sine-relay/visit"
)

// integrationsFile is the form of SINE_RELAY_INTEGRATIONS_FILE. JSON is YAML.
type integrationsFile struct {
	// Defaults apply to every integration that does not say otherwise.
	Defaults yaml.Node `yaml:"defaults"`
	// Integrations are read one by one, each an entry: what is wrong with one
	// is no problem of the others.
	Integrations []yaml.Node `yaml:"integrations"`

	// defaults are what Defaults holds.
	defaults options
	// partial is set when a part could not be read: what is missing then is
	// no problem of its own.
	partial bool
}

// fileEntry is an entry, with what could not be read of it.
type fileEntry struct {
	entry
	// fieldPath is where its problems are.
	fieldPath
	partial bool
}

// readEntry reads the entry of a number. One without a name is called by that.
func readEntry(file string, number int, node *yaml.Node) (e fileEntry) {
	e.fieldPath = fieldPath{problems: &Problems{}, file: file, node: node, of: fmt.Sprintf("integrations[%d]", number)}
	e.partial = e.load(&e.entry)
	switch {
	case visit.ValidName(e.Name):
		e.of = integrationOf(e.Name)
	case e.Name != "":
		e.of = integrationOf(strconv.Quote(e.Name))
	}
	for i := range *e.problems {
		(*e.problems)[i].Of = e.of
	}
	return e
}

// entry is one integration in the file. It holds no secret.
type entry struct {
	Name        string `yaml:"name"`
	DisplayName string `yaml:"displayName"`
	Site        string `yaml:"site"`
	ExternalID  string `yaml:"externalId"`
	// Test marks it for tests: the desk may check in made-up visitors there.
	Test bool `yaml:"test"`
	// Capture shows the shape of the next deliveries in the log, until a time.
	Capture capture `yaml:"capture"`
	options `yaml:",inline"`
}

type capture struct {
	Deliveries int    `yaml:"deliveries"`
	Until      string `yaml:"until"` // RFC 3339
}

// options are what an integration may take from the defaults.
type options struct {
	// Decider is the short way of naming one, in place of Deciders.
	Decider  string    `yaml:"decider"`
	Deciders []decider `yaml:"deciders"`
	// AllowFrom are addresses or networks.
	AllowFrom []string `yaml:"allowFrom"`
	// Combine is "all" or "any".
	Combine        string `yaml:"combine"`
	TimeZone       string `yaml:"timeZone"`
	DecisionBudget string `yaml:"decisionBudget"`
	// RejectMode is "code" or "status".
	RejectMode string `yaml:"rejectMode"`
	// RejectionConfirmed says that a test visit has shown that the way of
	// rejecting stops a check-in.
	RejectionConfirmed *bool `yaml:"rejectionConfirmed"`
	// Kinds are the webhooks that are switched on in Sine, for the warnings.
	Kinds []string `yaml:"kinds"`
	// KindAliases map further values of Sine's field "event" to kinds.
	KindAliases map[string]string `yaml:"kindAliases"`
	// Fields are the places of fields in a body: JSON pointers and templates.
	Fields map[string][]string `yaml:"fields"`
	Labels labels              `yaml:"labels"`
	Dates  dates               `yaml:"dates"`
	// CauseAliases map words for why a pass ended to causes.
	CauseAliases map[string]string `yaml:"causeAliases"`
	// Expects are fields that a body must have, or several with "|" between, of which
	// it must have one.
	Expects    []string            `yaml:"expects"`
	RejectText string              `yaml:"rejectText"`
	Fallbacks  map[string]fallback `yaml:"fallbacks"`
	Responses  responses           `yaml:"responses"`
}

// decider is one of those who are asked.
type decider struct {
	Name   string `yaml:"name"`
	Shadow bool   `yaml:"shadow"`
	// Condition is an expression of the Common Expression Language (CEL).
	Condition string `yaml:"condition"`
	// Expects are in place of those of the integration.
	Expects   []string            `yaml:"expects"`
	Fallbacks map[string]fallback `yaml:"fallbacks"`
}

// labels are the keys of question and answer in a form's answers.
type labels struct {
	Label []string `yaml:"label"`
	Value []string `yaml:"value"`
}

// dates is how Sine writes dates.
type dates struct {
	// Formats are as strftime has them.
	Formats []string `yaml:"formats"`
	// TimeZone is that of dates without one, the site's unless set.
	TimeZone string `yaml:"timeZone"`
}

type fallback struct {
	// Decision is "accept" or "reject".
	Decision    string `yaml:"decision"`
	VisitorText string `yaml:"visitorText"`
	AdminNote   string `yaml:"adminNote"`
}

type responses struct {
	Accept map[string]any `yaml:"accept"`
	Reject map[string]any `yaml:"reject"`
}

// maxIntegrations are what a relay was seen to serve, with some 100 KiB for each. At
// 20,000 it took 5.8 GB, and NATS refused to be asked for the orders of so many sites.
const maxIntegrations = 2000

// readFile reads the integrations file, if there is one. The problems of its
// content begin with the file's name.
func (s *Settings) readFile(f *Problems) (file integrationsFile) {
	s.policyVersion = s.version(nil)
	if s.IntegrationsFile == "" {
		return file
	}
	content, err := readRegular(s.IntegrationsFile, largestFile)
	s.policyVersion = s.version(content)
	if err != nil {
		f.unreadable("INTEGRATIONS_FILE", err)
		return integrationsFile{partial: true}
	}
	name := filepath.Base(s.IntegrationsFile)
	root := parseYAML(f, name, content)
	if root == nil {
		return integrationsFile{partial: true}
	}
	file.partial = fieldPath{problems: f, file: name, node: root}.load(&file)
	if n := len(file.Integrations); n > maxIntegrations {
		f.add(name, "contains %d integrations, the maximum is %d: divide them among several relays", n, maxIntegrations)
		return integrationsFile{partial: true}
	}
	if !file.Defaults.IsZero() {
		defaults := fieldPath{problems: f, file: name, node: &file.Defaults, of: defaultsOf}
		file.partial = defaults.load(&file.defaults) || file.partial
	}
	return file
}

// defaultsOf is what a problem of the defaults concerns.
const defaultsOf = "defaults"

// version names the rules of the integrations: those of the file, and what the
// environment presets.
func (s *Settings) version(file []byte) string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %s %s\n", s.Site, s.TimeZone, s.DecisionBudget)
	h.Write(file)
	return hex.EncodeToString(h.Sum(nil)[:6])
}
