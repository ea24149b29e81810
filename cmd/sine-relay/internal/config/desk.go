package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/sine-relay/sine-relay/desk/access"
	"github.com/sine-relay/sine-relay/internal/clientip"
	"github.com/sine-relay/sine-relay/visit"
)

// Desk is what the settings of `sine-relay desk` say, without problems.
type Desk struct {
	// Roles are those of SINE_RELAY_DESK_ROLES_FILE.
	Roles []access.Mapping
	// Proxies are those whose word about the user, or about the client's address,
	// counts.
	Proxies []netip.Prefix
	// Loopback is set where nobody signs in: everybody on this machine may do all.
	Loopback bool
}

// rolesFile is the form of SINE_RELAY_DESK_ROLES_FILE.
type rolesFile struct {
	Roles []yaml.Node `yaml:"roles"`
}

// roleEntry is what the members of a group may do, and where.
type roleEntry struct {
	Group string   `yaml:"group"`
	Role  string   `yaml:"role"`
	Sites []string `yaml:"sites"`
}

// LoadForDesk reads the settings for the desk, which needs an existing NATS, no keys and
// no integrations. Defaults are as of [Load].
func LoadForDesk(environ []string, defaults map[string]string) (Settings, Desk, error) {
	s, err := read(environ, defaults, func(Settings) bool { return false }, keyless)
	if err != nil {
		return s, Desk{}, err
	}
	d, problems := s.CheckDesk()
	if len(problems) > 0 {
		return s, Desk{}, problems
	}
	return s, d, nil
}

// HasDesk reports whether any setting of the desk is set.
func (s Settings) HasDesk() bool {
	for name := range s.set {
		if strings.HasPrefix(name, Prefix+"DESK_") {
			return true
		}
	}
	return false
}

// sharedWithDesk reports whether a setting of the relay is one of the desk, too.
func sharedWithDesk(name string) bool {
	switch name {
	case "FORWARDED_HEADER", "SUBJECT_PREFIX", "EVENT_STREAM", "DECISION_STREAM", "QUARANTINE_STREAM", "ORDER_BUCKET", "OVERRIDE_MAX_DURATION", "STREAM_DEDUPE_WINDOW", "LOG_LEVEL", "LOG_FORMAT", "NATS_REPLICAS":
		return true
	case "NATS_STORE_DIR", "NATS_SYNC_INTERVAL", "NATS_INBOX_PREFIX":
		return false
	}
	return strings.HasPrefix(name, "NATS_") && !strings.HasPrefix(name, "NATS_LISTEN")
}

// CheckDesk looks at the settings of the desk, which are no concern of a relay: it must
// start whatever is wrong with them.
func (s Settings) CheckDesk() (d Desk, f Problems) {
	checkAddress(&f, "DESK_LISTEN", s.DeskListen)
	checkAddress(&f, "DESK_ADMIN_LISTEN", s.DeskAdminListen)
	if _, port, _ := net.SplitHostPort(s.DeskListen); s.DeskListen == s.DeskAdminListen && port != "0" {
		f.setting("DESK_ADMIN_LISTEN", "must differ from SINE_RELAY_DESK_LISTEN, got %s for both", s.DeskAdminListen)
	}
	checkPair(&f, "DESK_TLS_CERT_FILE", s.DeskTLSCertFile, "DESK_TLS_KEY_FILE", s.DeskTLSKeyFile)
	s.checkDeskURL(&f)
	s.checkOIDC(&f)
	d.Proxies = s.deskProxies(&f)
	d.Roles = s.readRoles(&f)
	d.Loopback = s.DeskOIDCIssuer == "" && s.DeskUserHeader == ""
	if d.Loopback && !isLoopback(s.DeskListen) {
		f.setting("DESK_LISTEN", "%s can be reached from other machines, and nobody would have to sign in: "+
			"set SINE_RELAY_DESK_OIDC_ISSUER for a provider of OpenID Connect, or SINE_RELAY_DESK_PROXY_USER_HEADER for a proxy that signs people in, or listen on 127.0.0.1", s.DeskListen)
	}
	if !d.Loopback && s.DeskRolesFile == "" {
		f.setting("DESK_ROLES_FILE", "is required where people sign in: without it nobody has a role")
	}
	s.checkSessions(&f)
	s.checkDeskStream(&f)
	s.checkTry(&f)
	return d, f
}

// isLoopback reports whether nobody but this machine reaches an address to listen on.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, parsed := netip.ParseAddr(host)
	return err != nil || host == "localhost" || parsed == nil && ip.IsLoopback()
}

func (s Settings) checkDeskURL(f *Problems) {
	if s.DeskURL == "" {
		return
	}
	u, err := url.Parse(s.DeskURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		f.setting("DESK_URL", "must be a URL without a path such as https://desk.example.com, got %q", s.DeskURL)
	}
}

// checkOIDC: what one part is set for is of no use without the others.
func (s Settings) checkOIDC(f *Problems) {
	parts := []struct{ name, value string }{
		{"DESK_OIDC_ISSUER", s.DeskOIDCIssuer}, {"DESK_OIDC_CLIENT_ID", s.DeskOIDCClientID},
		{"DESK_OIDC_CLIENT_SECRET", s.DeskOIDCClientSecret.Reveal()}, {"DESK_URL", s.DeskURL},
	}
	given := slices.ContainsFunc(parts[:3], func(p struct{ name, value string }) bool { return p.value != "" })
	for _, part := range parts {
		if given && part.value == "" {
			f.setting(part.name, "is required for OpenID Connect")
		}
	}
	if u, err := url.Parse(s.DeskOIDCIssuer); s.DeskOIDCIssuer != "" && (err != nil || u.Host == "" || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(net.JoinHostPort(u.Hostname(), "0")))) {
		f.setting("DESK_OIDC_ISSUER", "must be an https:// URL, got %q", s.DeskOIDCIssuer)
	}
	if s.DeskOIDCIssuer != "" && s.DeskUserHeader != "" {
		f.setting("DESK_PROXY_USER_HEADER", "must not be set together with SINE_RELAY_DESK_OIDC_ISSUER: people sign in in one way")
	}
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

// deskProxies are those whose headers count. Every address among them would let
// everybody be anybody.
func (s Settings) deskProxies(f *Problems) []netip.Prefix {
	if s.DeskUserHeader != "" && s.DeskTrustedProxies == "" {
		f.setting("DESK_TRUSTED_PROXIES", "must be set together with SINE_RELAY_DESK_PROXY_USER_HEADER: anybody could write that header")
	}
	if s.DeskUserHeader != "" && s.DeskGroupsHeader == "" {
		f.setting("DESK_PROXY_GROUPS_HEADER", "must be set together with SINE_RELAY_DESK_PROXY_USER_HEADER: roles go by groups")
	}
	for _, header := range []struct{ name, value string }{{"DESK_PROXY_USER_HEADER", s.DeskUserHeader}, {"DESK_PROXY_GROUPS_HEADER", s.DeskGroupsHeader}} {
		if header.value != "" && !headerName.MatchString(header.value) {
			f.setting(header.name, "must be the name of a header such as X-Forwarded-User, got %q", header.value)
		}
	}
	proxies, err := clientip.ParsePrefixes(listOf(s.DeskTrustedProxies))
	if err != nil {
		f.setting("DESK_TRUSTED_PROXIES", "%s", oneLine(err))
	}
	for _, prefix := range proxies {
		if prefix.Bits() == 0 {
			f.setting("DESK_TRUSTED_PROXIES", "must not contain %s, which is every address: anybody could claim to be any user", prefix)
		}
	}
	return proxies
}

// listOf are the parts of a list with commas.
func listOf(text string) (all []string) {
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// readRoles reads the file of roles, if there is one.
func (s Settings) readRoles(f *Problems) (roles []access.Mapping) {
	content, ok := readable(f, "DESK_ROLES_FILE", s.DeskRolesFile)
	if !ok {
		return nil
	}
	name := filepath.Base(s.DeskRolesFile)
	root := parseYAML(f, name, content)
	if root == nil {
		return nil
	}
	var file rolesFile
	fieldPath{problems: f, file: name, node: root}.load(&file)
	if len(file.Roles) == 0 {
		f.add(name, "roles: names no group: nobody could use the desk")
	}
	for i := range file.Roles {
		p := fieldPath{problems: f, file: name, node: &file.Roles[i], of: fmt.Sprintf("roles[%d]", i)}
		var role roleEntry
		if p.load(&role); p.role(role) {
			roles = append(roles, access.Mapping{Group: role.Group, Role: access.Role(role.Role), Sites: role.Sites})
		}
	}
	return roles
}

func (p fieldPath) role(r roleEntry) bool {
	before := len(*p.problems)
	if r.Group == "" {
		p.add("group", "is required")
	}
	if !slices.Contains(access.Roles, access.Role(r.Role)) {
		p.add("role", "must be viewer, reception or operator, got %q", r.Role)
	}
	if len(r.Sites) == 0 {
		p.add("sites", `is required: the names of sites, or ["*"] for every site`)
	}
	for i, site := range r.Sites {
		if !visit.ValidName(site) && site != visit.AllSites {
			p.add(fmt.Sprintf("sites[%d]", i), `must be the name of a site, or "*" for every site, got %q`, site)
		}
	}
	return len(*p.problems) == before
}

// shortestSessionKey is the length from which a session key cannot be guessed.
const shortestSessionKey = 32

func (s Settings) checkSessions(f *Problems) {
	for i, key := range listOf(s.DeskSessionKeys.Reveal()) {
		if len(key) < shortestSessionKey {
			f.setting("DESK_SESSION_KEYS", "key %d has %d characters, at least %d are required", i+1, len(key), shortestSessionKey)
		}
	}
	if s.DeskSessionLifetime < time.Minute {
		f.setting("DESK_SESSION_LIFETIME", "must be at least %s, got %s", time.Minute, s.DeskSessionLifetime)
	}
}

func (s Settings) checkDeskStream(f *Problems) {
	switch {
	case !streamName.MatchString(s.DeskStream):
		f.setting("DESK_STREAM", "must be letters, digits, _ and -, got %q", s.DeskStream)
	case slices.Contains([]string{s.EventStream, s.DecisionStream, s.QuarantineStream}, s.DeskStream):
		f.setting("DESK_STREAM", "must differ from the relay's streams, got %q", s.DeskStream)
	}
	if s.DeskStreamMaxAge < s.DedupeWindow {
		f.setting("DESK_STREAM_MAX_AGE", "must not be shorter than SINE_RELAY_STREAM_DEDUPE_WINDOW (%s), got %s", s.DedupeWindow, s.DeskStreamMaxAge)
	}
	positive(f, "DESK_STREAM_MAX_BYTES", s.DeskStreamMaxBytes)
}

func (s Settings) checkTry(f *Problems) {
	requireBoth(f, "DESK_TRY_URL", s.DeskTryURL, "DESK_TRY_KEYS_DIR", s.DeskTryKeysDir)
	if u, err := url.Parse(s.DeskTryURL); s.DeskTryURL != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || strings.Trim(u.Path, "/") != "") {
		f.setting("DESK_TRY_URL", "must be a URL without a path such as https://visitors.example.com, got %q", s.DeskTryURL)
	}
}

// DeskSessionKeysNow returns the session keys that are in force, see
// [Settings.NATSPasswordNow]; nil where there are none.
func (s Settings) DeskSessionKeysNow() func() [][]byte {
	now := s.now("DESK_SESSION_KEYS", s.DeskSessionKeys)
	if now == nil {
		return nil
	}
	return func() (keys [][]byte) {
		for _, key := range listOf(now()) {
			keys = append(keys, []byte(key))
		}
		return keys
	}
}

// DeskClientSecretNow is the client secret that is in force, likewise.
func (s Settings) DeskClientSecretNow() func() string {
	return s.now("DESK_OIDC_CLIENT_SECRET", s.DeskOIDCClientSecret)
}
