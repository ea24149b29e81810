package visit_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/sine-relay/sine-relay/visit"
)

// Each field is filled at random by reflection, so that one that is added to a struct
// and not to the encoder is found.
func TestEncoding_EqualsEncodingJSON(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		var e visit.Event
		fill(random, reflect.ValueOf(&e).Elem())
		e.Source = nil
		wantEqual(t, &e, false, func() ([]byte, error) { return visit.MarshalEvent(&e) })

		var r visit.CheckInRequest
		fill(random, reflect.ValueOf(&r).Elem())
		r.Source = nil
		wantEqual(t, &r, false, func() ([]byte, error) { return visit.MarshalCheckInRequest(&r) })

		var record visit.Record
		fill(random, reflect.ValueOf(&record).Elem())
		wantEqual(t, &record, true, func() ([]byte, error) {
			m, err := record.Message(visit.Subjects{})
			return m.Data, err
		})
		if t.Failed() {
			return
		}
	}
}

func wantEqual(t *testing.T, value any, html bool, encode func() ([]byte, error)) {
	t.Helper()
	var want bytes.Buffer
	standard := json.NewEncoder(&want)
	standard.SetEscapeHTML(html)
	wantErr := standard.Encode(value)
	got, err := encode()
	if (err == nil) != (wantErr == nil) {
		t.Errorf("%+v: %v, but encoding/json says %v", value, err, wantErr)
	}
	if err == nil && !bytes.Equal(append(got, '\n'), want.Bytes()) {
		t.Errorf("wrote\n%s, but encoding/json\n%s", got, want.Bytes())
	}
}

// oddTexts are those of which some are written by encoding/json in another way than
// as they are.
var oddTexts = []string{
	"", "plain", `"quoted" and \ back`, "<b>&amp;</b>", "line\nbreak\t\x00\x1f", "Müller 東京 🙂", "\u2028\u2029", "\xff\xfe half \xc3", "\x7f\u0085\ufffd",
}

// fill sets a value to a random one, and leaves some of it empty.
func fill(random *rand.Rand, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(randomTime(random)))
		return
	}
	if v.Kind() != reflect.Struct && random.IntN(3) == 0 {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(random, v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(random, v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), random.IntN(4), 4))
		for i := range v.Len() {
			fill(random, v.Index(i))
		}
	case reflect.String:
		v.SetString(oddTexts[random.IntN(len(oddTexts))] + oddTexts[random.IntN(len(oddTexts))])
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(int64(random.Uint64()))
	case reflect.Float64:
		v.SetFloat(randomNumber(random))
	case reflect.Uint8: // of a source, which is not compared
	default:
		panic("no random " + v.Kind().String())
	}
}

// randomTime is rarely one that cannot be written.
func randomTime(random *rand.Rand) time.Time {
	offset := random.IntN(2*86_399) - 86_399
	at := time.Unix(random.Int64N(4e9), random.Int64N(1e9)).In(time.FixedZone("", offset))
	switch random.IntN(60) {
	case 0:
		return at.AddDate(9000, 0, 0)
	case 1:
		return at.In(time.FixedZone("", 90_000))
	case 2:
		return time.Time{}
	}
	return at
}

func randomNumber(random *rand.Rand) float64 {
	switch random.IntN(20) {
	case 0:
		return math.Inf(1)
	case 1:
		return math.Pow(10, float64(random.IntN(60)-30))
	default:
		return float64(random.IntN(1e7)) / 1000
	}
}

// BenchmarkEventMessage is from an event with a body of 1.5 KB to its message.
func BenchmarkEventMessage(b *testing.B) {
	e := visit.Event{ID: "00112233445566778899aabbccddeeff", Kind: visit.KindCheckedIn, Origin: fullOrigin(), Pass: fullPass(), Source: make(visit.Source, 1500)}
	for range 8 {
		e.FormAnswers = append(e.FormAnswers, visit.FormAnswer{Label: "Question number 1 on the form?", Value: "An answer to question 1 that goes on for a while, as answers on such forms do"})
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Message(visit.Subjects{}); err != nil {
			b.Fatal(err)
		}
	}
}
