package relay

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A program that counts its body's length wrong sends all of it, and then nothing:
// the visitor is in what came.
func TestABodyWithoutItsEndIsReadWhereNothingIsMissing(t *testing.T) {
	more := func(n int) func(path, body string) string {
		return func(path, body string) string { return request(path, len(body)+n, body) }
	}
	compressed := func(path, body string) string {
		return strings.Replace(more(2)(path, gzipped(body)), "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1)
	}
	chunked := func(path, body string) string {
		return strings.Replace(request(path, 0, fmt.Sprintf("%x\r\n%s\r\n", len(body), body)), "Content-Length: 0", "Transfer-Encoding: chunked", 1)
	}
	for name, write := range map[string]func(path, body string) string{
		"a length that is too large": more(2), "no last chunk": chunked, "compressed": compressed,
	} {
		for _, c := range []struct{ path, body, says, fault string }{
			{"", checkedIn, "eventId", errNoEnd.Error()},
			{"/check-in-success", checkedIn, "eventId", errNoEnd.Error()},
			{"", checkInBody, "SUCCESS", errNoEnd.Error()},
			{"", inAText(checkInBody), "SUCCESS", errNoEnd.Error()},
			{"/check-in-success", checkedIn[:len(checkedIn)-1], "INCOMPLETE", ""},
			{"/check-in-success", "7", "INCOMPLETE", ""},
		} {
			t.Run(name+" "+c.path+" "+c.says, func(t *testing.T) {
				t.Parallel()
				r := newRig(t, func(cfg *Config) {
					cfg.Limits.ReadTimeout, cfg.Limits.WriteTimeout = time.Second, 3*patience
					cfg.Integrations[0].Budget = patience
				})
				answer, err := http.ReadResponse(bufio.NewReader(send(t, r.serve(t), write("/sine/lobby"+c.path, c.body))), nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(answer.Body)
				if err != nil || !strings.Contains(string(body), c.says) || !answer.Close {
					t.Errorf("answered %d %s, %v, closed: %v", answer.StatusCode, body, err, answer.Close)
				}
				if c.fault != "" {
					eventually(t, "a line", func() bool { return strings.Contains(r.log.String(), c.fault) })
				}
			})
		}
	}
}

// Who sends that and goes is not lost either.
func TestWhatIsCompleteIsStoredThoughTheCallerIsGone(t *testing.T) {
	r := newRig(t)
	conn := send(t, r.serve(t), request("/sine/lobby", len(checkedIn)+1, checkedIn))
	conn.Close()
	eventually(t, "it is stored", func() bool { return r.settledAs(outcomeStored) == 1 })
}
