package e2e

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/visit"
)

// begin has the relay and a decider run, as users of the configuration.
func (s *theatre) begin(t *testing.T) *day {
	t.Helper()
	d := &day{understanding: understanding(t)}
	playDecider(t, s, d, "decider")
	d.relay = runServe(t, s.settings("relay")...).ready()
	return d
}

func TestEveryUserMayDoWhatItMust(t *testing.T) {
	t.Parallel()
	s := setStage(t, natsDir+"nats.conf")
	day := s.begin(t)
	day.relay.must(200, "SUCCESS", visits[0])
	day.relay.must(200, "REJECTED", visits[1])
	day.relay.must(200, "eventId", visits[2])
	day.relay.must(200, "eventId", visits[3])
	day.relay.must(200, "REJECTED", visits[4])
	// One of a visitor who could not be understood.
	eventually(t, "three decisions are on record", func() bool { return s.messages(t, visit.DefaultDecisionStream) == 3 })
	if _, body := day.relay.get("/readyz?verbose"); strings.Contains(body, "wanted") || !strings.Contains(body, "orders: from bucket") {
		t.Errorf("readiness: %s", body)
	}
	eventually(t, "the decider is counted", func() bool {
		_, metrics := day.relay.get("/metrics")
		return strings.Contains(metrics, `sine_relay_deciders{decider="default",integration="default"} 1`)
	})

	consumer := playConsumer(t, s, day, "consumer")
	eventually(t, "events are received and acknowledged", func() bool { return strings.HasPrefix(consumer.said(), "2 received") && s.acknowledged(t, 2) })
	s.everyCommandWorks(t, day)
	s.aSpoolIsDrained(t)
	eventually(t, "the replayed events too", func() bool { return s.acknowledged(t, 5) })
	consumer.stop()
	if said := consumer.said(); said != "5 received\n" {
		t.Errorf("the consumer was told: %s", said)
	}
	for _, line := range s.refused.lines() {
		t.Error(line)
	}
}

func (s *theatre) everyCommandWorks(t *testing.T, day *day) {
	t.Helper()
	environ := environment(append(s.settings("operator"), "KEYS="+testKey, "INTEGRATIONS_FILE="+day.understanding)...)
	reference := regexp.MustCompile(`"msg":"webhook","id":"(\w+)"`).FindStringSubmatch(day.relay.out.String())[1]
	want := map[string]string{
		"lockdown": "in force until it is lifted.*Obeyed by 1", "lockdown lift": "is lifted.*Obeyed by 1", "override": "in force until .*Obeyed by 1", "override lift": "is lifted.*Obeyed by 1",
		"orders": "There is no lockdown.*RELAY.*ready", "visits": "check_in_request +hq +\\w+ +accepted +decider default", "deciders": `default +hq +default +\w+ +1\.2\.3`, "ask": "SUCCESS", "explain": "all: default accepted",
		"quarantine ls": "2 messages|3 messages", "quarantine show": "would become checked_in of site hq", "quarantine replay": "2 stored|deleted here.*1 duplicates",
	}
	for _, words := range operatorsCommands(s.quarantined(t, day), "hq") {
		if words[0] == "explain" {
			words[1] = reference
		}
		name := words[0]
		if len(words) > 1 && want[name+" "+words[1]] != "" {
			name += " " + words[1]
		}
		must(t, environ, "(?s)"+want[name], words...)
	}
}

// aSpoolIsDrained by the relay's user, since it is the relay's work.
func (s *theatre) aSpoolIsDrained(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	away := runServe(t, "NATS_URL=nats://127.0.0.1:1", "SPOOL_DIR="+dir, "SITE=hq")
	away.must(200, "eventId", webhook("signin_after", noon, "Spooled"))
	away.end()
	must(t, environment(append(s.settings("relay"), "KEYS="+testKey)...), "1 message sent, 0 left", "spool", "drain", "--dir", dir)
}

func (s *theatre) messages(t *testing.T, stream string) uint64 {
	t.Helper()
	found, err := s.JetStream(asUser("admin")).Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	return found.CachedInfo().State.Msgs
}

// acknowledged reports whether the durable has settled so many events.
func (s *theatre) acknowledged(t *testing.T, n uint64) bool {
	t.Helper()
	reply, err := s.Connect(asUser("admin")).Request("$JS.API.CONSUMER.INFO.VISITORS.badges", nil, patience)
	if err != nil {
		t.Fatal(err)
	}
	var info struct {
		AckFloor struct {
			Consumer uint64 `json:"consumer_seq"`
		} `json:"ack_floor"`
	}
	if err := json.Unmarshal(reply.Data, &info); err != nil {
		t.Fatal(err)
	}
	return info.AckFloor.Consumer == n
}

// One server has, beside each user, one for each of its permissions who lacks
// just that one.
func TestEveryPermissionIsNeededAndItsLackIsNamed(t *testing.T) {
	t.Parallel()
	all := permissions(t)
	s := setStage(t, writeConf(t, withLesserUsers(t, accounts(t), all)))
	day := s.begin(t)
	t.Run("relay", func(t *testing.T) { s.miss(t, day, "relay", all) })
	t.Run("at once", func(t *testing.T) {
		for _, user := range []string{"consumer", "operator", "desk", "admin"} {
			t.Run(user, func(t *testing.T) {
				t.Parallel()
				s.miss(t, day, user, all)
			})
		}
	})
	// Last, since those who cannot answer take questions from the one who can.
	t.Run("decider", func(t *testing.T) { s.miss(t, day, "decider", all) })
}

// miss plays a user's part once without each of its permissions, all at once.
func (s *theatre) miss(t *testing.T, day *day, user string, all []permission) {
	played := map[permission]*part{}
	for i, p := range all {
		if p.user == user {
			played[p] = parts[user](t, s, day, without(user, i))
		}
	}
	if len(played) == 0 {
		t.Fatal("no permission is listed")
	}
	lacksNothing := parts[user](t, s, day, user)
	for p, one := range played {
		t.Run(fmt.Sprintf("without %s %s", p.verb, p.subject), func(t *testing.T) {
			defer one.stop()
			defer func() {
				if t.Failed() {
					t.Logf("it was told:\n%s", one.said())
				}
			}()
			lacksNothing.again()
			eventually(t, "something fails without it and says so", func() bool {
				one.again()
				return p.names(one.said())
			})
			if said := lacksNothing.said(); p.names(said) {
				t.Errorf("who has it was told:\n%s", said)
			}
		})
	}
}
