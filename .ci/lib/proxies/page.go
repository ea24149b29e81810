package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// snippets returns the fenced blocks of a page by the language that they name.
func snippets(page []byte) map[string][]string {
	found := map[string][]string{}
	language, block := "", &bytes.Buffer{}
	for line := range bytes.Lines(page) {
		fence, isFence := bytes.CutPrefix(line, []byte("```"))
		switch {
		case isFence && language == "":
			language = string(bytes.TrimSpace(fence))
			block.Reset()
		case isFence:
			found[language] = append(found[language], block.String())
			language = ""
		case language != "":
			block.Write(line)
		}
	}
	return found
}

// ports are what a snippet is filled with.
type ports struct {
	public, admin int // of both relays, at two addresses of the loopback
	proxy         int
	certificate   string
}

// The page has addresses that nobody takes for his own; here they become some of
// the loopback. Each must be in the snippet, or the page and this program have
// grown apart.
const (
	pageHost        = "relay.example.com"
	pageNetwork     = "10.0.0."
	pagePublic      = ":8080"
	pageAdmin       = "9090"
	pageCertificate = "/etc/ssl/relay.pem"
	network         = "127.0.0."
	proxyHost       = "127.0.0.1"
	clientHost      = "127.0.0.2" // callers come from elsewhere than the proxy
)

// fill puts ports and files in the place of those of the page, and what only
// this proxy writes in its own way by further pairs of old and new. The error
// says what is not there to be replaced.
func fill(snippet string, p ports, pairs ...string) (string, error) {
	pairs = append(pairs,
		pageNetwork, network,
		pagePublic, ":"+strconv.Itoa(p.public),
		pageCertificate, p.certificate)
	var missing error
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(snippet, pairs[i]) {
			missing = fmt.Errorf("the snippet has no %q", pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(snippet), missing
}
