package learn

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/relay/fields"
)

// tenant makes bodies of its own kind: names of keys from several vocabularies, nested or
// not, with whatever else products send beside them.
type tenant struct {
	*rand.Rand
	person, company, visit, date, event string
	first, last, whole                  string
	nested, wrapped, text, pairs        bool
	spelling                            int
	decoys                              bool
}

func newTenant(seed uint64) *tenant {
	t := &tenant{Rand: rand.New(rand.NewPCG(seed, 17))}
	one := func(texts ...string) string { return texts[t.IntN(len(texts))] }
	language := t.IntN(4)
	t.first = [...]string{one("first name", "given name", "forename", "given"), "vorname", one("nombre"), one("prénom", "prenom")}[language]
	t.last = [...]string{one("last name", "family name", "surname", "family"), "nachname", one("apellido", "apellidos"), one("nom de famille")}[language]
	t.whole = [...]string{one("full name", "visitor name", "display name"), "besucher name", "nombre completo", "nom complet"}[language]
	t.person = [...]string{one("visitor", "guest", "person", "attendee"), one("besucher", "gast"), one("visitante", "invitado"), one("visiteur", "invité")}[language]
	t.company = [...]string{one("company", "company name", "employer", "organisation", "organization"), "firma", "empresa", one("société", "entreprise")}[language]
	t.visit = [...]string{one("visit id", "sign in id", "pass id", "visit ref", "check in id"), "besuchsnummer", "id visita", "id visite"}[language]
	t.date = [...]string{one("date", "timestamp", "occurred at", "event date", "time"), "zeitpunkt", "fecha", "horodatage"}[language]
	t.event = [...]string{one("event", "event type", "type", "action", "trigger"), "ereignis", "evento", "événement"}[language]
	t.nested, t.wrapped, t.text, t.pairs, t.decoys = t.IntN(2) == 0, t.IntN(4) == 0, t.IntN(6) == 0, t.IntN(6) == 0, t.IntN(3) > 0
	if t.IntN(4) > 0 {
		t.whole = ""
	}
	t.spelling = t.IntN(5)
	return t
}

// key spells a name as the tenant does.
func (t *tenant) key(name string) string {
	words := strings.Fields(name)
	for i, w := range words {
		if t.spelling == 1 || t.spelling == 2 && i > 0 {
			words[i] = strings.ToUpper(w[:1]) + w[1:]
		}
	}
	return strings.Join(words, [...]string{"_", "", "", "-", " "}[t.spelling])
}

type visitor struct{ first, last, company, visit string }

func (t *tenant) body(event string, v visitor, at time.Time) []byte {
	person, pass := map[string]any{}, map[string]any{}
	if t.whole != "" {
		person[t.key(t.whole)] = v.first + " " + v.last
	} else {
		person[t.key(t.first)], person[t.key(t.last)] = v.first, v.last
	}
	person[t.key(t.company)] = v.company
	if t.decoys {
		pass[t.key("host")] = map[string]any{t.key("first name"): "Zhost", t.key("last name"): "Zhost", t.key("company"): "Zhost"}
		pass[t.key("site")] = map[string]any{t.key("name"): "Zsite", t.key("organisation"): "Zsite", "id": "Zsite"}
		pass[t.key("purpose")] = "Zpurpose"
	}
	pass[t.key(t.visit)] = v.visit
	switch {
	case t.pairs:
		var pairs []any
		for _, key := range slices.Sorted(func(yield func(string) bool) {
			for key := range person {
				if !yield(key) {
					return
				}
			}
		}) {
			pairs = append(pairs, map[string]any{"label": key, "value": person[key]})
		}
		pass[t.key("details")] = pairs
	case t.nested:
		pass[t.key(t.person)] = person
	default:
		for key, value := range person {
			pass[key] = value
		}
	}
	body := map[string]any{t.key(t.event): event, t.key(t.date): at.Format(time.RFC3339)}
	if t.text {
		text, _ := json.Marshal(pass)
		body[t.key("data")] = string(text)
	} else {
		body[t.key("data")] = pass
	}
	if t.wrapped {
		body = map[string]any{t.key("envelope"): body, "id": fmt.Sprint(t.Uint32())}
	}
	text, _ := json.Marshal(body)
	return text
}

func (t *tenant) bodies() (all []Body, of []visitor) {
	names := [][2]string{{"in.requested", ""}, {"visitor.signed_in", ""}, {"visitor.signed_out", ""}}
	for n, v := range []visitor{{"Ada", "Lovelace", "Engines", "v-1"}, {"Ada", "Lovelace", "Engines", "v-2"}, {"Grace", "Hopper", "Compilers", "v-3"}} {
		for m, name := range names {
			at := noon.Add(time.Duration(3*n+m) * time.Hour)
			all, of = append(all, Body{Text: t.body(name[0], v, at), Received: at.Add(3 * time.Second)}), append(of, v)
		}
	}
	return all, of
}

// What is proposed finds the visitor, the company and the visit in the bodies of any
// tenant, or the report says that it does not. It never finds somebody else's.
func TestAnalyse_FindsTheVisitorOrSaysThatItDoesNot(t *testing.T) {
	missed := 0
	const tenants = 500
	for seed := range uint64(tenants) {
		made := newTenant(seed)
		bodies, of := made.bodies()
		r := Analyse(bodies, options())
		f, problems := fields.Compile(r.Spec)
		if len(problems) > 0 {
			t.Fatalf("seed %d: %v", seed, problems)
		}
		for i, body := range bodies {
			read, reason := f.Read(body.Text, 32)
			if reason != "" {
				t.Fatalf("seed %d: %s", seed, reason)
			}
			name := strings.TrimSpace(read.Pass.Person.FirstName + " " + read.Pass.Person.LastName)
			for _, c := range []struct {
				field     []fields.Field
				got, want string
			}{
				{[]fields.Field{fields.LastName, fields.PersonName}, name, of[i].first + " " + of[i].last},
				{[]fields.Field{fields.Company}, read.Pass.Company, of[i].company},
				{[]fields.Field{fields.Visit}, read.VisitID, of[i].visit},
			} {
				said := slices.ContainsFunc(c.field, func(f fields.Field) bool {
					s := r.field(f).State
					return s == Open || s == NotFound
				})
				switch {
				case c.got == c.want:
				case c.got == "" && said:
					missed++
				default:
					t.Fatalf("seed %d: %v is %q, want %q\n%s\n%s", seed, c.field, c.got, c.want, body.Text, r.text())
				}
			}
		}
	}
	if all := tenants * 9 * 3; missed > all/50 {
		t.Errorf("%d of %d were not found", missed, all)
	}
}

// Marked visitors are in no report, whatever their bodies look like, unless values are
// asked for.
func TestAnalyse_ShowsNoValue(t *testing.T) {
	mark := func(text []byte) []byte {
		return []byte(strings.NewReplacer("Ada", "Zmark Ada", "Lovelace", "Zmark", "Grace", "Zmark", "Hopper", "Zmark-Hopper", "Engines", "Zmark Ltd",
			"Denied", "Zmark", "v-1", "Zmark-1", "v-2", "Zmark-2", "Zhost", "Zmark", "Zsite", "Zmark", "Zpurpose", "Zmark 20.11.2026 12:00").Replace(string(text)))
	}
	shown := 0
	for seed := range uint64(100) {
		bodies, _ := newTenant(seed).bodies()
		for i := range bodies {
			bodies[i].Text = mark(bodies[i].Text)
		}
		if text := Analyse(bodies, options()).all(); strings.Contains(text, "Zmark") {
			t.Fatalf("seed %d:\n%s", seed, text)
		}
		o := options()
		o.Values = true
		if strings.Contains(Analyse(bodies, o).all(), "Zmark") {
			shown++
		}
	}
	if shown == 0 {
		t.Error("with Values, none is shown: the test finds nothing")
	}
	for _, text := range []string{
		`{"event":"Zmark signed in","data":{"firstName":"Zmark"}}`,
		`{"type":"Zmark","when":"Zmark 2026","data":{"name":"Zmark","checkOutReason":"Zmark left"}}`,
		`{"event":"signout_after","data":{"visitors":{"Zmark Ada":{"vorname":"Zmark"},"zmark@example.com":{"firma":"Zmark"}}}}`,
		`{"event":"signout_after","data":{"people":[{"role":"Zmark","vorname":"Zmark"},{"name":"Zmark","value":"Zmark"}],"answers":{"Zmark asks?":"Zmark"}}}`,
		`{"event":"signout_after","data":[["Zmark","Zmark"],["Given name","Zmark"]]}`,
		`{"Zmark":{"event":"signin_after","date":"Zmark","data":{"status":"Zmark","email":"zmark@example.com","visit":"Zmark"}}}`,
	} {
		for _, event := range []string{"", `,"more":1`} {
			body := strings.TrimSuffix(text, "}") + event + "}"
			got := Analyse([]Body{{Text: []byte(text)}, {Text: []byte(body)}}, options()).all()
			if strings.Contains(strings.ToLower(got), "zmark") && !strings.HasPrefix(text, `{"Zmark"`) {
				t.Errorf("%s:\n%s", text, got)
			}
		}
	}
}

// all is everything that a report has.
func (r *Report) all() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic(err)
	}
	return string(text) + r.text()
}

// Whatever the bodies are, they are read, and what is proposed compiles.
func FuzzAnalyse(f *testing.F) {
	for _, file := range []string{"nested-visitor", "map-of-objects", "arrays-of-pairs", "day-and-time-apart", "json-api"} {
		text, err := os.ReadFile("../testdata/tenants/" + file + "/checkout.json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o := options()
		o.Values = len(text)%2 == 0
		r := Analyse([]Body{{Text: text, Received: noon}}, o)
		if _, problems := fields.Compile(r.Spec); len(problems) > 0 {
			t.Errorf("%v", problems)
		}
	})
}
