package desk

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// fault is something that goes wrong, and what the page of the doors says then.
type fault struct {
	name string
	// make makes it happen, and mend undoes it where later ones need that.
	make func(*stage)
	mend func(*stage)
	// door is where it shows, and says what stands there.
	door string
	says []string
}

// faults are those of the runbooks that can be made here, but for a lockdown and a NATS that
// is away, which have tests of their own.
var faults = []fault{
	{
		name: "no program decides", make: func(s *stage) { s.call("mill", "signin_before", visitors[1]) },
		door: "The mill", says: []string{"On fallback no_decider since", "No program answers for the decider default."},
	},
	{
		name: "the decider is slow", make: func(s *stage) { s.call("hq-gate", "signin_before", ofCompany("Slow")) },
		door: "Headquarters, gate", says: []string{"On fallback timeout since", "no decision came in time. 1 of the last 1 check-in request got no decision: 0 let in, 1 rejected."},
	},
	{
		name: "the decider replies with something that is no decision", make: func(s *stage) { s.call("hq-garage", "signin_before", ofCompany("Liar")) },
		door: "Headquarters, garage", says: []string{"On fallback bad_reply since", "the reply of the decider is invalid"},
	},
	{
		name: "Sine's bodies cannot be read", make: func(s *stage) {
			for range 3 {
				s.post("hq-dock", `{"event":"visitor_arrived","data":{"firstName":"Zorbina"}}`)
			}
		},
		door: "Headquarters, loading dock", says: []string{"On fallback unreadable since", "what Sine sent cannot be read"},
	},
	{
		name: "Sine's bodies lack the visitor's name", make: func(s *stage) {
			for range 3 {
				s.post("hq-annex", `{"event":"signin_before","data":{"company":"Bexley Rigging"}}`)
			}
		},
		door: "Headquarters, annex", says: []string{"On fallback incomplete since", "what Sine sent lacks a field that is expected"},
	},
	{
		name: "the program that decides has ended", make: func(s *stage) { s.deciding.Stop(); s.decider.Flush() }, mend: (*stage).decide,
		door: "Headquarters, main lobby", says: []string{"No decider", "No program answers for the decider default."},
	},
	{
		// One alone would be taken for one that the other replaced: they began together.
		name: "the relays have crashed", make: func(s *stage) { s.relays[0].kill(); s.relays[1].kill() },
		mend: func(s *stage) { s.relays[0], s.relays[1] = s.startRelay(0), s.startRelay(1) },
		door: "Headquarters, main lobby", says: []string{"No relay", "No relay answers for it."},
	},
	{
		name: "the entry of an integration is invalid", make: func(s *stage) {
			s.write("integrations.yaml", integrations+"- {name: hq-shed, site: hq, decider: \"not a name\"}\n")
		},
		mend: func(s *stage) { s.write("integrations.yaml", integrations) },
		door: "hq-shed", says: []string{"Invalid configuration", "all calls of Sine are answered 401"},
	},
	{
		name: "the stream of events is gone", make: func(s *stage) {
			s.deleteStream("VISITORS")
			s.call("hq-lobby", "signin_after", visitors[3])
		},
		mend: func(s *stage) { s.makeStream("VISITORS") },
		door: "Headquarters, main lobby", says: []string{"Unknown since", "read stream VISITORS: no stream for the subject", "2, 1 message in spools"},
	},
	{
		name: "an override is in force", make: func(s *stage) {
			s.command("override", "--site", "mill", "--accept", "--for", "1h", "--reason", "the decider is mended")
		},
		mend: func(s *stage) { s.command("override", "lift", "--site", "mill") },
		door: "The mill", says: []string{"Overridden since", "Reason: the decider is mended"},
	},
}

func ofCompany(name string) visitor { return visitor{"", "Zorbina", "Quillfeather", name} }

// faultsAreNamed: for each, the page names cause and site, and says so without a reload.
func faultsAreNamed(t *testing.T, b *browser) {
	p := b.as(t, "viewer")
	p.goTo("/")
	for _, f := range faults {
		within(t, atOnce, f.name, func() {
			f.make(b.stage)
			for _, want := range f.says {
				p.doorReads(f.door, want)
			}
		})
		t.Logf("%s: %s", f.name, strings.Join(strings.Fields(p.door(f.door)), " "))
		if f.mend != nil {
			f.mend(b.stage)
		}
	}
	p.shot("doors-with-faults")
	p.accessible("/ with faults")
}

// door is what stands on one.
func (p *tab) door(name string) string {
	p.t.Helper()
	quoted, _ := json.Marshal(name)
	return get[string](p, `[...document.querySelectorAll("#doors > li")].filter(d => d.querySelector("h2").innerText === `+string(quoted)+`).map(d => d.innerText).join("\n")`)
}

func (p *tab) doorReads(name, want string) {
	p.t.Helper()
	eventually(p.t, name+" says "+want, func() error {
		if text := p.door(name); !strings.Contains(flat(text), flat(want)) {
			return errorString("it says:\n" + text)
		}
		return nil
	})
}

type errorString string

func (e errorString) Error() string { return string(e) }

// command runs one of an operator.
func (s *stage) command(words ...string) {
	s.t.Helper()
	p := s.launch("command.log", s.settings("operator", "INTEGRATIONS_FILE="+s.path("integrations.yaml"), "KEYS_DIR="+s.path("keys")), "sine-relay", words...)
	if err := p.cmd.Wait(); err != nil {
		text, _ := os.ReadFile(p.log)
		s.t.Fatalf("sine-relay %s: %v\n%s", strings.Join(words, " "), err, text)
	}
}

func (s *stage) deleteStream(name string) {
	s.t.Helper()
	if err := s.js().DeleteStream(context.Background(), name); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) js() jetstream.JetStream {
	s.t.Helper()
	js, err := jetstream.New(s.connect("admin"))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

// makeStreams makes those of deploy/nats, as an administrator does.
func (s *stage) makeStreams() {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "deploy/nats/streams/*.json"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no streams: %v", err)
	}
	slices.Sort(files)
	for _, file := range files {
		s.makeStream(strings.TrimSuffix(filepath.Base(file), ".json"))
	}
}

func (s *stage) makeStream(name string) {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy/nats/streams", name+".json"))
	var cfg jetstream.StreamConfig
	if err == nil {
		err = json.Unmarshal(text, &cfg)
	}
	if err == nil {
		cfg.Replicas = 1
		_, err = s.js().CreateStream(context.Background(), cfg)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", name, err)
	}
}
