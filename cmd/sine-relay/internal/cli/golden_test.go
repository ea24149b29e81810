package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/broker/admin"
	"github.com/sine-relay/sine-relay/relay"
	"github.com/sine-relay/sine-relay/relay/policy"
	"github.com/sine-relay/sine-relay/visit"
)

var update = flag.Bool("update", false, "rewrite the golden files")

var noon = time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)

// Programs read the fields of the JSON, and people the tables: neither changes unnoticed.
func TestOutput_IsThatOfTheGoldenFiles(t *testing.T) {
	var out bytes.Buffer
	in := Process{Stdout: &out, Stderr: &out, Build: Build{Version: "1.2.3", Commit: "0123abc", Date: "2026-11-18T12:00:00Z"}}
	prints := map[string]func(format string) error{
		"orders": func(format string) error { return showOrders(&out, format, someOrders, someRelays) },
		"explain": func(format string) error {
			return showRecords(&out, format, []visit.Record{someRecord, incompleteRecord})
		},
		"deciders": func(format string) error { return someDeciders.print(&out, format) },
		"ask": func(format string) error {
			return printDryRun(in, format, someDryRun, "the body was made up, and integration lobby expects what it does not find in it: company; give a body that Sine sent by --file", "", nil)
		},
		"quarantine_ls":  func(format string) error { return showQuarantine(&out, format, false, someKept) },
		"quarantine_all": func(format string) error { return showQuarantine(&out, format, true, someKept) },
		"quarantine_show": func(format string) error {
			return showMessage(&out, format, someKept[0], "would become checked_in of site hq with id 4711", []byte("{}"))
		},
		"learn":    func(format string) error { return someLearned(t).print(&out, format) },
		"rederive": func(format string) error { return someRederived(t, false).print(&out, format) },
		"rederive_submit": func(format string) error {
			r := someRederived(t, true)
			r.Submitted = true
			return r.print(&out, format)
		},
		"decode":      func(format string) error { return newDecoded(someDecoded(t), false).print(&out, format) },
		"spool_ls":    func(format string) error { return someSpool.print(&out, format) },
		"config_urls": func(format string) error { return showURLs(&out, format, someURLs, exampleURL) },
		"verify": func(format string) error {
			v := verification{checks: newChecks(&out, format)}
			v.add("readiness: ready", errors.New("answered 200, degraded"))
			v.readiness = "degraded: NATS is away\nserver: none\n"
			v.detail(v.readiness)
			v.add("a wrong key is answered 401", nil)
			return v.print(&out, format)
		},
		"config_check": func(format string) error {
			c := newCheckedConfig(&out, format)
			c.warn("keys/dock: can be read by every user")
			c.Integrations, c.Server = 2, "nats://nats:4222"
			c.NATS = []check{{Name: "NATS: connected", OK: true}, {Name: "stream VISITORS can be used", Error: "it is absent"}}
			return c.print(&out)
		},
		"version": func(format string) error {
			b := in.Build.known()
			b.Go, b.OS, b.Arch = "go1.26.8", "linux", "amd64"
			return b.print(&out, format)
		},
	}
	for name, print := range prints {
		for format, extension := range map[string]string{asTable: ".txt", asJSON: ".json"} {
			out.Reset()
			if err := print(format); err != nil && !errors.Is(err, errReported) {
				t.Fatal(err)
			}
			if format == asJSON && !json.Valid(out.Bytes()) {
				t.Errorf("%s: not valid JSON:\n%s", name, out.String())
			}
			file := filepath.Join("testdata", name+extension)
			if *update {
				if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || string(want) != out.String() {
				t.Errorf("%s: %v; it is now (-update rewrites the file):\n%s", file, err, out.String())
			}
		}
	}
}

var (
	someOrders = []visit.Order{
		{Kind: visit.OrderLockdown, Site: visit.AllSites, Message: "Please leave.", By: "ann", User: "operator", Account: "OPERATORS", ID: "A1", Since: noon},
		{Kind: visit.OrderOverride, Site: "hq", Reason: "badges", By: "bob", ID: "B2", Since: noon, Until: noon.Add(time.Hour)},
	}
	someRelays = []visit.Relay{{ID: "R1", Version: "1.2.3", Started: noon, RelayStatus: visit.RelayStatus{
		State: "ready", OrdersKnown: true, OrdersReadAt: noon, OrdersRevision: 7, Sites: []string{"hq"}, SiteCount: 1, Spooled: 3,
		Orders: []visit.RelayOrder{{Kind: visit.OrderLockdown, Site: visit.AllSites, ID: "A1"}, {Kind: visit.OrderLockdown, Site: "hq", ID: "C3", Lost: true}},
	}}}
	someVotes  = []visit.Vote{{Decider: "watchlist", Version: "1.0.0", Situation: "decided", Verdict: visit.Accept, TookMs: 12.5}, {Decider: "hr", Shadow: true, Situation: "timeout"}}
	someRecord = visit.Record{
		RequestID: "K7Q2MHRQPMH9YVK86ZMX", Reference: "K7Q2M", Site: "hq", Integration: "lobby", Received: noon, Verdict: visit.Reject,
		Situation: "lockdown", Rule: "rejected by lockdown of hq", TookMs: 0.4, Policy: "ab21d70d7b5c", Votes: someVotes,
		Order: &visit.OrderNote{Kind: visit.OrderLockdown, ID: "A1", By: "ann", User: "operator", Account: "OPERATORS", Since: noon},
	}
	incompleteRecord = visit.Record{
		RequestID: "M2Q7KHRQPMH9YVK86ZMX", Reference: "M2Q7K", Site: "hq", Integration: "lobby", ExternalID: "HQ-7", Received: noon, Verdict: visit.Reject,
		Situation: "incomplete", Rule: "all: watchlist rejected by fallback for incomplete", Missing: []string{"company"}, Fallback: true, TookMs: 0.4, Policy: "ab21d70d7b5c",
		Votes: []visit.Vote{{Decider: "watchlist", Situation: "incomplete", Verdict: visit.Reject, Fallback: true}},
	}
	someDryRun = relay.DryRun{
		Status: 200, Body: []byte(`{}`), Took: 12700 * time.Microsecond, Votes: someVotes,
		Decision: policy.Decision{Decision: visit.Decision{Verdict: visit.Reject}, Situation: policy.Timeout, Rule: "all: watchlist rejected by fallback for timeout", Fallback: true},
	}
	someDeciders = deciderList{configured: true, Note: "1 reply was too large", Deciders: []listedDecider{
		{Integration: "lobby", Site: "hq", Decider: "watchlist", Instances: []deciderInstance{{ID: "I1", Version: "1.0.0", Started: noon, Answered: 17, Failed: 1, Expired: 2, Late: 3, Stalls: 4, AverageMs: 12.5, DistanceMs: 0.3}}},
		{Integration: "dock", Site: "hq", Decider: "hr", Instances: []deciderInstance{}},
	}}
	someKept = []admin.Kept{
		{Sequence: 17, Stored: noon, Size: 9000, Quarantined: visit.Quarantined{
			RequestID: "K7Q2MHRQPMH9YVK86ZMX", Site: "hq", Integration: "lobby", Reason: visit.ReasonTooLarge, Kind: visit.KindCheckedIn,
			Received: noon, Cut: true, ContentLength: 300000, ContentEncoding: "gzip", EventID: "4711", RefusedSubject: "visitors.v1.event.hq.checked_in",
			Trace: visit.Trace{XRequestID: "proxy-1"},
		}},
		{Sequence: 18, Stored: noon.Add(time.Minute), Size: 8, Fault: errors.New("its headers are not those of a relay")},
	}
	someSpool = spoolList{Waiting: 1, Messages: []spooledMessage{{ID: "4711", Subject: "visitors.v1.event.hq.checked_in", Integration: "lobby", Spooled: noon, Attempts: 2}}}
	someURLs  = []webhookRow{{"lobby", "The lobby", "hq", "HQ-7", "https://relay.example.com/sine/lobby", []string{"spring"}}, {"dock", "", "hq", "", "https://relay.example.com/sine/dock", []string{}}}
)

// What a terminal obeys is harmless in JSON, and means the same to whoever reads it.
func TestPrintJSON_EscapesWhatATerminalObeys(t *testing.T) {
	const text = "a\x1b[2J\u009b1m\u202eb\U000e0001 <Süd> 山"
	var out strings.Builder
	if err := printJSON(&out, text); err != nil {
		t.Fatal(err)
	}
	if want := `"a\u001b[2J\u009b1m\u202eb\udb40\udc01 <Süd> 山"` + "\n"; out.String() != want {
		t.Errorf("%s, want %s", out.String(), want)
	}
	var read string
	if err := json.Unmarshal([]byte(out.String()), &read); err != nil || read != text {
		t.Errorf("read as %q, %v", read, err)
	}
}

func TestFormat_InUnitsThatPeopleRead(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Millisecond: "1.5s", 30 * time.Minute: "30m", 90 * time.Minute: "1h30m", 2 * time.Hour: "2h", 24 * time.Hour: "1d", 25 * time.Hour: "25h",
	} {
		if got := formatDuration(d); got != want {
			t.Errorf("%v is shown as %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 300000: "293.0 KiB", 5 << 20: "5.0 MiB", 3 << 40: "3072.0 GiB"} {
		if got := formatBytes(n); got != want {
			t.Errorf("%d is shown as %s, want %s", n, got, want)
		}
	}
}

// Whoever writes a program finds every field on the page.
func TestOutput_FieldsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../../../docs/commands.md")
	if err != nil {
		t.Fatal(err)
	}
	contract, err := os.ReadFile("../../../../docs/contract.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`(?m)^ +"(\w+)": `).FindAllStringSubmatch(string(text), -1) {
			if field := []byte("`" + name[1] + "`"); !bytes.Contains(page, field) && !bytes.Contains(contract, field) {
				t.Errorf("%s: no page says what %s is", file, name[1])
			}
		}
	}
}

func TestProgress_IsShownOnATerminalAlone(t *testing.T) {
	var out bytes.Buffer
	piped := newProgress(&out)
	piped.show("1 of 2 messages sent")
	piped.clear()
	if out.Len() > 0 {
		t.Errorf("in a pipe: %q", out.String())
	}
	shown := &progress{w: &out}
	shown.show("%d of %d", 99, 1000)
	shown.show("done")
	shown.clear()
	if want := "99 of 1000\r" + "done      \r" + "    \r"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
