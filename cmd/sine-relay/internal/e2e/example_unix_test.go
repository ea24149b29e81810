//go:build unix

package e2e

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/sine-relay/sine-relay/broker/natstest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/subscriber"
)

// A newcomer's decider gets every request, whether discovery shows it or not.
func TestDev_TheExampleStepsBackWhileAnotherProgramDecides(t *testing.T) {
	d := runDev(t, "NATS_STORE_DIR="+t.TempDir())
	nc, err := nats.Connect(regexp.MustCompile(`nats://decider:\S+`).FindString(d.out.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	ask := d.pasted()[0]
	for name, start := range map[string]func() (end func()){
		"a micro service": func() func() {
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() {
				cfg := subscriber.DeciderConfig{Sites: []string{"default"}, Version: "1.0.0"}
				ended <- subscriber.Decide(ctx, nc, cfg, func(context.Context, visit.CheckInRequest) (visit.Decision, error) {
					return visit.Decision{Verdict: visit.Reject, VisitorText: "On the list."}, nil
				})
			}()
			return func() {
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			}
		},
		"a plain subscriber": func() func() {
			sub, err := nc.QueueSubscribe("visitors.v1.ask.default.default", "q", func(m *nats.Msg) {
				wantJudged(t, "check-in-request", m.Header)
				m.Respond([]byte(`{"decision":"reject","visitorText":"On the list."}`))
			})
			if err != nil || nc.Flush() != nil {
				t.Fatal(err)
			}
			return func() {
				if err := sub.Unsubscribe(); err != nil || nc.Flush() != nil {
					t.Error(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			said := func(what string) int { return strings.Count(d.out.String(), what) }
			back, again := said("example   steps back: "), said("example   answers again: ")
			end := start()
			eventually(t, "the example steps back", func() bool { return said("example   steps back: ") == back+1 })
			for range 20 {
				if got := ask.run(); !strings.Contains(got, "On the list.") {
					t.Fatalf("answered %s", got)
				}
			}
			end()
			eventually(t, "the example answers again", func() bool { return said("example   answers again: ") == again+1 })
			if got := ask.run(); !strings.Contains(got, "Welcome") {
				t.Errorf("answered %s", got)
			}
		})
	}
	d.prints(`decision .*rejected .*by decider default 1\.0\.0 `)
	d.end()
}

// A program with another site than the relay's hears nothing, and no error says so.
func TestDev_NamesAProgramThatNobodyAsks(t *testing.T) {
	d := runDev(t, "NATS_STORE_DIR="+t.TempDir())
	nc, err := nats.Connect(regexp.MustCompile(`nats://decider:\S+`).FindString(d.out.String()))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.QueueSubscribe("visitors.v1.ask.hq.default", "q", func(*nats.Msg) {}); err != nil {
		t.Fatal(err)
	}
	d.prints(`another program waits on visitors\.v1\.ask\.hq\.default, and no integration asks there; this relay asks on visitors\.v1\.ask\.default\.default\n`)
	if got := d.pasted()[0].run(); !strings.Contains(got, "Welcome") {
		t.Errorf("answered %s", got)
	}
	d.end()
	if n := strings.Count(d.out.String(), "another program waits"); n != 1 {
		t.Errorf("it says so %d times", n)
	}
}

// On a NATS of somebody else, discovery shows who decides.
func TestDev_TheExampleStepsBackOnAnExternalNATS(t *testing.T) {
	const secret = "Zsecret"
	nats := natstest.Start(t, natstest.WithUser("relay", secret), func(o *server.Options) { o.NoAuthUser = "relay" })
	t.Chdir(t.TempDir()) // where dev keeps its key
	d := runDev(t, "NATS_URL="+strings.Replace(nats.URL(), "//", "//relay:"+secret+"@", 1))
	ask := d.pasted()[0]
	if got := ask.run(); !strings.Contains(got, "Welcome") {
		t.Errorf("answered %s", got)
	}
	decideAt(t, nats, "default", func(visit.CheckInRequest) visit.Decision {
		return visit.Decision{Verdict: visit.Reject, VisitorText: "On the list."}
	})
	d.prints("example   steps back: another program answers for decider default of site default\n")
	for range 20 {
		if got := ask.run(); !strings.Contains(got, "On the list.") {
			t.Fatalf("answered %s", got)
		}
	}
	d.end()
	if strings.Contains(d.out.String(), secret) {
		t.Errorf("the password is printed:\n%s", d.out.String())
	}
}

// With several sites, dev has a decider for each, and all are seen.
func TestDev_AnExampleDecidesForEachSite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "integrations.yaml")
	text := "integrations:\n- {name: lobby, site: hq, expects: [host.lastName]}\n- {name: dock, site: lab}\n- {name: gate, site: yard, deciders: [{name: hr}]}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keys, "lobby"), []byte(testKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := runDev(t, "NATS_STORE_DIR="+dir, "INTEGRATIONS_FILE="+file, "KEYS_DIR="+keys)
	url := regexp.MustCompile(`export SINE_RELAY_NATS_URL=(\S+)`).FindStringSubmatch(d.out.String())[1]
	all := regexp.MustCompile(`(?s)lobby +hq +default +\w+ +0\.0\.0-example.*dock +lab +default +\w+ +0\.0\.0.*gate +yard +hr +\w+ +0\.0\.0`)
	eventually(t, "all are seen", func() bool {
		code, out, _ := commandLine(environment("NATS_URL="+url, "INTEGRATIONS_FILE="+file), "deciders")
		return code == exitOK && all.MatchString(out)
	})
	d.prints(`The bodies below are made up, and integration lobby expects what it does not find in it: host\.lastName\. Send one of Sine's in their place: -d @body\.json`)
	d.pasted()[0].run()
	d.prints(`decision .*rejected .*because .*incomplete.*; missing host\.lastName\)`)
	d.end()
	if text := d.err.String(); strings.Contains(text, "Permissions Violation") || strings.Contains(text, "permissions violation") {
		t.Errorf("it logs\n%s", text)
	}
}
