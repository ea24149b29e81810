package access

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sine-relay/sine-relay/internal/clientip"
)

// recheck is after what time a stream of events must begin anew where every request says
// who it is from: the proxy may have another opinion of the user by then.
const recheck = time.Hour

// proxied lets those in whom the proxy names.
type proxied struct {
	*Access
	Proxy
	roles roles
}

func (p proxied) enter(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !(clientip.Proxies{Trusted: p.Trusted}).Trusts(r.RemoteAddr) {
		// The headers are not ignored: then a proxy with a new address would look
		// like people who are not signed in.
		p.warn(r.Context(), "a request did not come from the trusted proxy", "", networkOf(r))
		p.refuse(w, r, address, Page{Status: http.StatusForbidden, Title: "Refused",
			Text: "The desk answers only to its proxy. Use the desk's address for people, or ask the administrator of Sine Relay to trust the address of the proxy."})
		return
	}
	id, groups, ok := p.read(r.Header)
	if !ok {
		p.warn(r.Context(), "the trusted proxy does not say who a user is", "", slog.String("user_header", p.UserHeader), slog.String("groups_header", p.GroupsHeader))
		p.refuse(w, r, header, Page{Status: http.StatusUnauthorized, Title: "Not signed in",
			Text: "The proxy before the desk did not say clearly who you are. Sign in at the proxy, or ask the administrator of Sine Relay to look at the headers that it sets."})
		return
	}
	prints := p.roles.prints(groups)
	if len(prints) == 0 {
		p.refuse(w, r, withoutRole, noRolePage)
		return
	}
	p.pass(w, r, next, User{ID: id, Name: id, Grants: p.roles.grants(prints)}, recheck)
}

// read finds nobody where a header is there twice: a proxy that adds its own and leaves
// what it got would let everybody choose who they are.
func (p proxied) read(h http.Header) (id string, groups []string, ok bool) {
	users, lists := h.Values(p.UserHeader), h.Values(p.GroupsHeader)
	if len(users) != 1 || len(lists) > 1 || !validID(users[0]) {
		return "", nil, false
	}
	for _, list := range lists {
		for group := range strings.SplitSeq(list, p.Separator) {
			groups = append(groups, strings.TrimSpace(group))
		}
	}
	return users[0], groups, true
}

// validID reports whether a record of what was done can say so who did it.
func validID(id string) bool {
	return id != "" && len(id) <= 255 && utf8.ValidString(id) && strings.TrimSpace(id) == id && strings.IndexFunc(id, notPrinted) < 0
}

// notPrinted: characters that are not seen, or change how others are.
func notPrinted(c rune) bool { return !unicode.IsPrint(c) }

func networkOf(r *http.Request) slog.Attr {
	return slog.String("network", clientip.Network(clientip.Proxies{}.Address(r.RemoteAddr, nil)))
}

var noRolePage = Page{Status: http.StatusForbidden, Title: "No role",
	Text: "You are signed in, but none of your groups has a role at the desk. Ask the administrator of Sine Relay to give one of your groups the role viewer, reception or operator at your site."}

// enterLocally lets this machine in, which one of three may only seem to be: a name server
// of somebody else's can say that a name of theirs is this machine, and then their pages
// may read the desk's; and a proxy on this machine may pass on whoever calls it.
func (a *Access) enterLocally(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case !isLocalAddress(r.RemoteAddr) || isForwarded(r.Header):
		a.warn(r.Context(), "a request did not come from this machine", "", networkOf(r))
		a.refuse(w, r, address, Page{Status: http.StatusForbidden, Title: "Refused",
			Text: "Without a sign-in the desk is for the machine that it runs on alone. Ask the administrator of Sine Relay to configure an OpenID provider or a trusted proxy."})
	case !isLocalHost(r.Host):
		a.refuse(w, r, host, Page{Status: http.StatusForbidden, Title: "Refused",
			Text: "Without a sign-in the desk answers only to the names localhost, 127.0.0.1 and [::1]. Open it by one of them."})
	default:
		a.pass(w, r, next, Local, recheck)
	}
}

func isLocalAddress(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}

func isLocalHost(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	return isLoopback(host)
}

// isForwarded reports whether a proxy passed a request on and says so.
func isForwarded(h http.Header) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"} {
		if len(h.Values(name)) > 0 {
			return true
		}
	}
	return false
}
