package relay

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

func request(path string, length int, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: relay\r\nX-Sine-Auth: %s\r\nContent-Length: %d\r\n\r\n%s", path, testKey, length, body)
}

// send opens a connection, writes and leaves it open.
func send(t *testing.T, address, text string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(timeout))
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestConnection_ASlowClientHoldsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Limits.ReadTimeout = 500 * time.Millisecond })
	address := r.serve(t)
	for name, text := range map[string]string{
		"half a header": "POST /sine/lobby HTTP/1.1\r\nHost: re",
		"half a body":   request("/sine/lobby", 100, `{"event":`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := io.ReadAll(send(t, address, text)); err != nil {
				t.Errorf("the connection was not closed: %v", err)
			}
		})
	}
	if r.settledAs(resultQuarantined) != 1 || string(r.broker.published[0].Data) != `{"event":` {
		t.Error("what came of the body was not kept")
	}
}

// The server reads on after the body, to notice a hang-up; were the read
// deadline still set, a decision that takes longer would look like one.
func TestConnection_ADecisionMayTakeLongerThanReadingTheBody(t *testing.T) {
	t.Parallel()
	const readTimeout = time.Second
	r := newRig(t, func(cfg *Config) { cfg.Limits.ReadTimeout = readTimeout })
	r.broker.ask = func(ctx context.Context, _ visit.Message) (visit.Decision, error) {
		select {
		case <-ctx.Done():
			return visit.Decision{}, ctx.Err()
		case <-time.After(2 * readTimeout):
			return visit.Decision{Verdict: visit.Accept}, nil
		}
	}
	conn := send(t, r.serve(t), request("/sine/lobby", len(checkInBody), checkInBody))
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != 200 || r.results("check_in_request", resultAccepted) != 1 {
		t.Errorf("answered %d", answer.StatusCode)
	}
}

func TestConnection_TheClientDisconnects(t *testing.T) {
	t.Parallel()
	t.Run("a visitor's question is counted as such", func(t *testing.T) {
		r := newRig(t)
		calls, proceed := make(chan *exchange, 1), make(chan struct{})
		r.broker.ask = func(ctx context.Context, _ visit.Message) (visit.Decision, error) {
			calls <- ctx.Value(exchangeKey{}).(*exchange)
			<-proceed
			return visit.Decision{Verdict: visit.Accept}, nil
		}
		conn := send(t, r.serve(t), request("/sine/lobby", len(checkInBody), checkInBody))
		x := <-calls
		conn.Close()
		eventually(t, "the hang-up is noticed", func() bool { return x.conn.disconnectedAfter() > 0 })
		close(proceed)
		eventually(t, "a result", func() bool { return r.results("check_in_request", resultDisconnected) == 1 })
		if !strings.Contains(string(gather(t, r)), "sine_relay_client_disconnect_duration_seconds_count 1") {
			t.Error("its age was not observed")
		}
	})
	t.Run("that only closed its sending side gets the decision", func(t *testing.T) {
		r := newRig(t)
		conn := send(t, r.serve(t), request("/sine/lobby", len(checkInBody), checkInBody))
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		if err != nil || !strings.Contains(string(body), "Welcome") {
			t.Errorf("%s %v", body, err)
		}
	})
	t.Run("an event is stored all the same", func(t *testing.T) {
		r := newRig(t)
		calls, proceed := make(chan *exchange, 1), make(chan struct{})
		var given error
		r.broker.publish = func(ctx context.Context, _ visit.Message) (visit.Receipt, error) {
			calls <- ctx.Value(exchangeKey{}).(*exchange)
			<-proceed
			given = ctx.Err()
			return visit.Receipt{}, nil
		}
		conn := send(t, r.serve(t), request("/sine/lobby", len(checkedIn), checkedIn))
		x := <-calls
		conn.Close()
		eventually(t, "the hang-up is noticed", func() bool { return x.conn.disconnectedAfter() > 0 })
		close(proceed)
		eventually(t, "a result", func() bool { return r.results("checked_in", resultDisconnected) == 1 })
		if given != nil || r.settledAs(resultStored) != 1 {
			t.Errorf("the event was given up: %v", given)
		}
	})
	t.Run("in the middle of the body", func(t *testing.T) {
		r := newRig(t)
		conn := send(t, r.serve(t), request("/sine/lobby", 100, `{"event":`))
		conn.Close()
		eventually(t, "a result", func() bool { return r.results(unknown, resultDisconnected) == 1 })
		if r.settledAs(resultQuarantined) != 1 {
			t.Error("what came of the body was not kept")
		}
	})
}

// late is a connection on which half of a body is sent, and the rest later.
func late(t *testing.T, r *rig, path, body string, after time.Duration) (*http.Response, time.Duration) {
	t.Helper()
	start := time.Now()
	conn := send(t, r.serve(t), request(path, len(body), body[:len(body)/2]))
	timer := time.AfterFunc(after, func() { io.WriteString(conn, body[len(body)/2:]) })
	defer timer.Stop()
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer, time.Since(start)
}

func TestConnection_ABodyThatComesSlowly(t *testing.T) {
	t.Parallel()
	const budget = 4 * time.Second // a machine that is busy may take a part of it
	slow := func(cfg *Config) {
		cfg.Limits.StoreBudget, cfg.Integrations[0].Budget = budget, budget
		cfg.Limits.ReadTimeout, cfg.Limits.WriteTimeout = timeout, 2*timeout
	}
	t.Run("an event's budget begins when it is there", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, slow)
		r.broker.publish = func(ctx context.Context, _ visit.Message) (visit.Receipt, error) { return visit.Receipt{}, ctx.Err() }
		if answer, _ := late(t, r, "/sine/lobby/check-in-success", checkedIn, budget*5/4); answer.StatusCode != 200 {
			t.Errorf("answered %d", answer.StatusCode)
		}
	})
	// An event of which a part is kept must not be told 200.
	unnamed := `{"data":{"firstName":"Ada","lastName":"Lovelace","company":"Analytical Engines"},"event":"signin_before"}`
	for _, c := range []struct {
		name, path, body string
		kind             string
		status           int
		says             string
	}{
		{"a request that names itself", "/sine/lobby", checkInBody, "check_in_request", 200, "REJECTED"},
		{"a request by its URL", "/sine/lobby/check-in-request", unnamed, "check_in_request", 200, "REJECTED"},
		{"an event that names itself", "/sine/lobby", checkedIn, "checked_in", 408, "INCOMPLETE"},
		{"what may be either", "/sine/lobby", unnamed, unknown, 408, "REJECTED"},
	} {
		t.Run("a visitor does not wait for it: "+c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, slow)
			r.broker.publish = func(ctx context.Context, _ visit.Message) (visit.Receipt, error) { return visit.Receipt{}, ctx.Err() }
			answer, took := late(t, r, c.path, c.body, timeout)
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != c.status || !strings.Contains(string(body), c.says) || took > timeout/2 {
				t.Errorf("answered %d %s after %s: %v", answer.StatusCode, body, took, err)
			}
			eventually(t, "a result", func() bool { return r.results(c.kind, resultQuarantined) == 1 })
			if r.settledAs(resultQuarantined) != 1 {
				t.Error("what came of the body was not kept")
			}
		})
	}
	t.Run("an event that does not come", func(t *testing.T) {
		t.Parallel()
		r := newRig(t, func(cfg *Config) { cfg.Limits.ReadTimeout = budget })
		answer, _ := late(t, r, "/sine/lobby/check-in-success", checkedIn, timeout)
		if answer.StatusCode != 408 || r.settledAs(resultQuarantined) != 1 {
			t.Errorf("answered %d", answer.StatusCode)
		}
	})
	t.Run("a relay that was held up reads what has come", func(t *testing.T) {
		t.Parallel()
		const size = 10_000 // more than the server reads along with the header
		r := newRig(t, slow, func(cfg *Config) { cfg.Limits.BodyMemory, cfg.Limits.Body = BodyCost(size), size })
		held, err := r.limiter.acquireBody(t.Context(), "lobby", "", time.Now().Add(timeout), size)
		if err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(budget*13/16, held.Release)
		defer timer.Stop()
		body := checkInBody + strings.Repeat(" ", size-len(checkInBody))
		conn := send(t, r.serve(t), request("/sine/lobby", size, body))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if answer.StatusCode != 200 || r.settledAs(resultQuarantined) != 0 {
			t.Errorf("answered %d", answer.StatusCode)
		}
	})
}

// The server reads the rest of a body before it answers, unless the connection
// is to be closed.
func TestConnection_AResponseDoesNotWaitForTheRestOfTheBody(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Limits.ReadTimeout = timeout })
	address := r.serve(t)
	for path, want := range map[string]int{"/sine/lobby": 413, "/sine/lobby/check-in-request": 200, "/sine/lobby/check-in-success": 413, "/sine/cellar": 401, "/nowhere": 404} {
		start := time.Now()
		conn := send(t, address, request(path, 300_000, strings.Repeat("x", 100_000)))
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); answer.StatusCode != want || took > timeout/2 || !answer.Close {
			t.Errorf("%s: answered %d after %s, closed: %v", path, answer.StatusCode, took, answer.Close)
		}
	}
}

func TestConnection_AHeaderThatIsTooLarge(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Limits.Header = 1024 })
	conn := send(t, r.serve(t), "GET / HTTP/1.1\r\nHost: relay\r\nX-Long: "+strings.Repeat("x", 16<<10)+"\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("%v %v", answer, err)
	}
}

func TestConnection_WhileDrainingClientsAreAskedToLeave(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if w := r.post("/sine/lobby", checkedIn); w.Header().Get("Connection") != "" {
		t.Error("a connection is closed without need")
	}
	r.Drain()
	if w := r.post("/sine/lobby", checkedOut); w.Code != 200 || w.Header().Get("Connection") != "close" {
		t.Errorf("answered %d, Connection: %q", w.Code, w.Header().Get("Connection"))
	}
}

// serve runs the relay behind a real listener.
func (r *rig) serve(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := r.Server()
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(r.Listen(listener, nil)) }()
	t.Cleanup(func() { server.Close(); <-done })
	return listener.Addr().String()
}

// closing returns the answer to a raw request, and whether the relay closed the
// connection after it.
func closing(t *testing.T, conn net.Conn) (answer *http.Response, body string, closed bool) {
	t.Helper()
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	if answer.Close {
		_, err = reader.ReadByte()
	}
	return answer, string(text), err == io.EOF
}

func TestConnection_IsKeptForWhoHasAKeyOnly(t *testing.T) {
	t.Parallel()
	const wrong = "X-Sine-Auth: nobody's\r\n"
	raw := func(line, header, body string) string {
		return fmt.Sprintf("%s HTTP/1.1\r\nHost: relay\r\n%sContent-Length: %d\r\n\r\n%s", line, header, len(body), body)
	}
	large := strings.Repeat("a", 400<<10) // more than the server reads on its own
	chunked := "POST /sine/lobby HTTP/1.1\r\nHost: relay\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name, text string
		status     int
		closed     bool
	}{
		{"a valid key", request("/sine/lobby", len(checkedIn), checkedIn), 200, false},
		{"a valid key and what cannot be read", request("/sine/lobby/check-in-success", 1, `{`), 400, false},
		{"no key", raw("POST /sine/lobby", "", checkedIn), 401, true},
		{"a wrong key", raw("POST /sine/lobby", wrong, checkedIn), 401, true},
		{"a wrong key and no body", raw("POST /sine/lobby", wrong, ""), 401, true},
		{"a wrong key and a large body", raw("POST /sine/lobby", wrong, large), 401, true},
		{"no such integration", raw("POST /sine/nowhere", wrong, checkedIn), 401, true},
		{"no such path", raw("POST /nowhere", wrong, checkedIn), 404, true},
		{"another method", raw("GET /sine/lobby", wrong, ""), 405, true},
		{"a body in pieces, without a key", chunked + "5;" + strings.Repeat("x", 1000) + "\r\nabcde\r\n0\r\n\r\n", 401, true},
		{"a body that is waited with, without a key", raw("POST /sine/lobby", "Expect: 100-continue\r\n"+wrong, checkedIn), 401, true},
		{"two at once, without a key", strings.Repeat(raw("POST /sine/lobby", wrong, checkedIn), 2), 401, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := send(t, newRig(t).serve(t), c.text)
			answer, body, closed := closing(t, conn)
			if answer.StatusCode != c.status || closed != c.closed || !strings.HasPrefix(body, "{") {
				t.Errorf("answered %d %s, closed %v", answer.StatusCode, body, closed)
			}
		})
	}
	t.Run("too many failures", func(t *testing.T) {
		address := newRig(t).serve(t)
		eventually(t, "it is held up, and its connection closed", func() bool {
			answer, _, closed := closing(t, send(t, address, raw("POST /sine/lobby", wrong, checkedIn)))
			if !closed {
				t.Errorf("after %d it is open", answer.StatusCode)
			}
			return answer.StatusCode == 429
		})
	})
	t.Run("an address that is not allowed", func(t *testing.T) {
		r := newRig(t, func(cfg *Config) {
			cfg.Integrations[0].AllowFrom = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		})
		if answer, _, closed := closing(t, send(t, r.serve(t), request("/sine/lobby", len(checkedIn), checkedIn))); answer.StatusCode != 401 || !closed {
			t.Errorf("answered %d, closed %v", answer.StatusCode, closed)
		}
	})
}

// A slow body without a key holds its connection only, and the answer does not
// wait for it.
func TestConnection_WithoutAKeyTheBodyIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	conn := send(t, newRig(t).serve(t), "POST /sine/lobby HTTP/1.1\r\nHost: relay\r\nContent-Length: 1000\r\n\r\n{")
	if answer, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || answer.StatusCode != 401 {
		t.Errorf("answered %v %v", answer, err)
	}
}

func TestConnection_ClientsWithoutAKeyKeepNobodyOut(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(cfg *Config) { cfg.Limits.Connections = 8 })
	address := r.serve(t)
	known := send(t, address, request("/sine/lobby", len(checkedIn), checkedIn))
	if answer, _, _ := closing(t, known); answer.StatusCode != 200 {
		t.Fatalf("answered %d", answer.StatusCode)
	}
	for range 40 {
		send(t, address, "POST /sine/lobby HTTP/1.1\r\nHost")
	}
	fresh := send(t, address, "")
	for _, conn := range []net.Conn{known, fresh} {
		if _, err := io.WriteString(conn, request("/sine/lobby", len(checkedIn), checkedIn)); err != nil {
			t.Fatal(err)
		}
		if answer, _, _ := closing(t, conn); answer.StatusCode != 200 {
			t.Errorf("answered %d", answer.StatusCode)
		}
	}
	if open, limit := r.Connections(); open > limit || limit != 8 {
		t.Errorf("%d of %d are open", open, limit)
	}
}
