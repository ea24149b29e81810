package connlimit

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sine-relay/sine-relay/internal/logtest"
)

func logged(to *logtest.Buffer) func(*rig, *listener) {
	return func(r *rig, _ *listener) { r.config.Logger = to.JSON() }
}

func (r *rig) counted(reason string) float64 {
	return testutil.ToFloat64(r.metrics.invalid.WithLabelValues(reason))
}

// want checks that one request was counted, for that reason.
func (r *rig) want(reason string) {
	r.t.Helper()
	eventually(r.t, "it is counted as "+reason, func() bool { return r.counted(reason) > 0 })
	for other := range remedies {
		if n := r.counted(other); other == reason && n != 1 || other != reason && n != 0 {
			r.t.Errorf("%v are counted as %s", n, other)
		}
	}
}

func TestInvalid_WhatTheServerAnswersIsCountedAndLogged(t *testing.T) {
	const post = "POST /sine/x HTTP/1.1\r\n"
	for _, c := range []struct {
		name, sent, reason string
		status             int // 0: no answer
	}{
		{"a header that is too large", post + "Host: x\r\nX: " + strings.Repeat("x", 2<<20), invalidHeaderSize, 431},
		{"too many lines", post + "Host: x\r\n" + strings.Repeat("X: y\r\n", 20) + "\r\n", invalidHeaderLines, 400},
		{"PROXY protocol, version 1", "PROXY TCP4 192.0.2.7 10.0.0.1 4711 8080\r\n" + post + "Host: x\r\n\r\n", invalidProxyProtocol, 400},
		{"PROXY protocol, of a probe", "PROXY UNKNOWN\r\n" + post + "Host: x\r\n\r\n", invalidProxyProtocol, 400},
		{"PROXY protocol, version 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\x0a\x00\x00\x01\x12\x67\x1f\x90" + post + "Host: x\r\n\r\n", invalidProxyProtocol, 400},
		{"TLS", hello(t), invalidTLS, 400},
		{"no Host", post + "\r\n", invalidHost, 400},
		{"a Host that is none", post + "Host: a b\r\n\r\n", invalidHost, 400},
		{"no HTTP", "hello\r\n\r\n", invalidOther, 400},
		{"a header name that is none", post + "Host: x\r\nX Y: z\r\n\r\n", invalidOther, 400},
		{"HTTP/3.0", "POST / HTTP/3.0\r\nHost: x\r\n\r\n", invalidVersion, 505},
		{"an unknown transfer encoding", post + "Host: x\r\nTransfer-Encoding: gzip\r\n\r\n", invalidEncoding, 501},
		{"an unknown expectation", post + "Host: x\r\nExpect: the-unexpected\r\n\r\n", invalidExpectation, 417},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := &logtest.Buffer{}
			r := newRig(t, 4, logged(log))
			conn := r.connect("127.0.0.1")
			go io.WriteString(conn, c.sent) // the server may not read it all
			answer, err := http.ReadResponse(conn.read, nil)
			if err != nil || answer.StatusCode != c.status {
				t.Fatalf("answered %+v, %v", answer, err)
			}
			r.want(c.reason)
			eventually(t, "it is logged", func() bool { return log.String() != "" })
			if line := log.String(); !strings.Contains(line, `"level":"WARN","msg":"requests could not be read","listener":"test","reason":"`+c.reason+`","last_from":"127.0.0.0/24","count":1,"remedy":"`+remedies[c.reason]) {
				t.Errorf("the log says %s", line)
			}
		})
	}
}

func TestInvalid_AHeaderOfWhichOnlyAPartCame(t *testing.T) {
	for name, sent := range map[string]string{"before the end": "POST / HTTP/1.1\r\nHo", "in the next request": ""} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, 4)
			c := r.connect("127.0.0.1")
			if sent == "" {
				c.must()
				r.idle(1)
				sent = "POST / HTTP/1.1\r\n"
			}
			c.send(sent)
			c.Close()
			r.want(invalidHeaderEnd)
		})
	}
}

func TestInvalid_ARequestThatComesAsTheServerCloses(t *testing.T) {
	r := newRig(t, 4)
	c := r.connect("127.0.0.1")
	c.send("POST / HTTP/1.1\r\nHost: x\r\n")
	ended := make(chan error)
	go func() { ended <- r.server.Shutdown(context.Background()) }()
	eventually(t, "it closes", r.closing.Load)
	c.send("Content-Length: 0\r\n\r\n")
	r.want(invalidShutdown)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// What is in order is in other metrics.
func TestInvalid_WhatIsNot(t *testing.T) {
	r := newRig(t, 4)
	c := r.connect("127.0.0.1")
	for range 3 {
		c.must()
	}
	c.send("POST / HTTP/1.1\r\nHost: x\r\nKey: valid\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
	if answer, err := http.ReadResponse(c.read, nil); err != nil || answer.StatusCode != 100 {
		t.Fatalf("%+v, %v", answer, err)
	}
	c.send("ab")
	c.answered()
	r.idle(1)
	c.Close()
	eventually(t, "it has left", func() bool { return r.Open() == 0 })
	r.connect("127.0.0.1").Close() // a probe that says nothing
	eventually(t, "it has left", func() bool { return r.Open() == 0 })
	d := r.connect("127.0.0.1")
	d.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\na")
	d.Close()
	eventually(t, "all have left", func() bool { return r.Open() == 0 })
	for e := range 12 { // most make room, with half a header
		if got := r.connect(fmt.Sprintf("127.0.0.%d", 2+e%2)); got != nil {
			io.WriteString(got, "POST / HT")
		}
	}
	eventually(t, "eight made room", func() bool { return r.dropped(reasonUnauthenticated) == 8 })
	for reason := range remedies {
		if n := r.counted(reason); n != 0 {
			t.Errorf("%v are counted as %s", n, reason)
		}
	}
}

func TestInvalid_HandshakesThatFail(t *testing.T) {
	for name, c := range map[string]struct {
		sent, reason string
	}{
		"HTTP":                      {"POST / HTTP/1.1\r\nHost: x\r\n\r\n", invalidPlain},
		"PROXY protocol, version 1": {"PROXY TCP4 192.0.2.7 10.0.0.1 4711 8080\r\n", invalidProxyProtocol},
		"PROXY protocol, version 2": {"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c", invalidProxyProtocol},
		"something else":            {"hello, is there anybody?", invalidHandshake},
		"half a hello":              {"\x16\x03\x01\x02\x00", invalidHandshake},
	} {
		t.Run(name, func(t *testing.T) {
			log := &logtest.Buffer{}
			r := newRig(t, 4, withTLS(patience), logged(log))
			conn := r.connect("127.0.0.1")
			conn.send(c.sent)
			conn.Conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
			r.want(c.reason)
			eventually(t, "it is logged", func() bool { return strings.Contains(log.String(), `"reason":"`+c.reason+`"`) })
		})
	}
	t.Run("a version that is too old", func(t *testing.T) {
		r := newRig(t, 4, withTLS(patience))
		conn := r.connect("127.0.0.1")
		if err := tls.Client(conn.Conn, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}).Handshake(); err == nil {
			t.Error("the handshake ended well")
		}
		r.want(invalidHandshake)
	})
	t.Run("who says nothing, or ends well, is not one", func(t *testing.T) {
		r := newRig(t, 4, withTLS(50*time.Millisecond))
		r.connect("127.0.0.1").Close()
		eventually(t, "it has left", func() bool { return r.Open() == 0 })
		silent := r.connect("127.0.0.1")
		io.Copy(io.Discard, silent)
		eventually(t, "both have left", func() bool { return r.Open() == 0 })
		for reason := range remedies {
			if n := r.counted(reason); n != 0 {
				t.Errorf("%v are counted as %s", n, reason)
			}
		}
	})
}

func TestAdmit_LogsWhatWasClosedOnceAMinute(t *testing.T) {
	log := &logtest.Buffer{}
	r := newRig(t, 4, logged(log))
	for range 8 {
		r.connect("127.0.0.1")
	}
	eventually(t, "it is logged", func() bool { return log.String() != "" })
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"WARN","msg":"connections were closed: no more may be open","listener":"test","max":4,"reason":"unauthenticated","count":1`) {
		t.Errorf("the log says %s", got)
	}
}
