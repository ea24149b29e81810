package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// bodyLimit is SINE_RELAY_BODY_LIMIT's default.
const bodyLimit = 256 << 10

const headerRequestID = "Sine-Relay-Request-Id"

// look is one thing that the page says of calls through a proxy.
type look struct {
	what string
	do   func(*http.Client) error
}

var looks = []look{
	{"a body as large as the limit passes", func(c *http.Client) error {
		return expect(c, 200, "/sine/default/check-in-success", key, padded(bodyLimit))
	}},
	{"a larger one is answered by the relay", func(c *http.Client) error {
		return expect(c, 413, "/sine/default/check-in-success", key, padded(bodyLimit+1))
	}},
	{"a slash at the end is no redirect", func(c *http.Client) error {
		return expect(c, 200, "/sine/default/", key, visitor("signin_after", rand.Text()))
	}},
	{"a decision that never comes is waited for by the relay", func(c *http.Client) error {
		return expect(c, 200, "/sine/default", key, visitor("signin_before", slow))
	}},
	{"an address that the caller invents does not count", func(c *http.Client) error {
		return forge(c, 401)
	}},
	{"nothing but /sine/ is routed", func(c *http.Client) error {
		for _, path := range []string{"/", "/readyz", "/metrics"} {
			if got, err := post(c, path, "", nil); err != nil || got.status != 404 {
				return fmt.Errorf("%s: %d %w", path, got.status, err)
			}
		}
		return nil
	}},
}

// forge calls the integration that is for others, as if from their address.
func forge(c *http.Client, want int) error {
	return expect(c, want, "/sine/elsewhere", key+"-2", visitor("signin_after", rand.Text()), "X-Forwarded-For", elsewhere)
}

// expect wants that status, and that it is the relay's own answer.
func expect(c *http.Client, status int, path, key string, body []byte, header ...string) error {
	got, err := post(c, path, key, body, header...)
	switch {
	case err != nil:
		return err
	case got.status != status:
		return fmt.Errorf("%s: %d, not %d: %.200s", path, got.status, status, got.text)
	case got.header.Get(headerRequestID) == "":
		return fmt.Errorf("%s: the %d is not the relay's own", path, got.status)
	}
	return nil
}

// padded is an event of that size.
func padded(size int) []byte {
	body := visitor("signin_after", rand.Text())
	return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
}

// lookAt tries everything that the page says of a proxy.
func lookAt(p *proxy) error {
	c := client(p)
	defer c.CloseIdleConnections()
	var failed []error
	for _, l := range looks {
		if err := l.do(c); err != nil {
			failed = append(failed, fmt.Errorf("%s: %s: %w", p.name, l.what, err))
		}
	}
	return errors.Join(failed...)
}

// bare is what the page says of a relay without anything in front of it.
func bare(r *relay) error {
	for path, want := range map[string]string{
		"GET / HTTP/1.1":       "HTTP/1.1 404 Not Found",
		"GET /readyz HTTP/1.1": "HTTP/1.1 404 Not Found",
		"PROXY TCP4 192.0.2.1 192.0.2.2 1 443\r\nGET / HTTP/1.1": "HTTP/1.1 400 Bad Request",
	} {
		conn, err := net.DialTimeout("tcp", r.public, time.Second)
		if err != nil {
			return err
		}
		conn.SetDeadline(time.Now().Add(5 * time.Second))
		fmt.Fprintf(conn, "%s\r\nHost: %s\r\n\r\n", path, pageHost)
		status, err := bufio.NewReader(conn).ReadString('\n')
		conn.Close()
		if err != nil || status != want+"\r\n" {
			return fmt.Errorf("%q is answered %q %w", path, status, err)
		}
	}
	return nil
}
