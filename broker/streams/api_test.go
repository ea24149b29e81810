package streams

import (
	"encoding/json"
	"fmt"
	"testing"
)

// What is read by hand means the same as to encoding/json, or is left to that.
func TestAck_ReadByHandIsTheSameAsByJSON(t *testing.T) {
	plain := 0
	for _, text := range []string{
		`{"stream":"VISITORS","seq":1}`, `{"stream":"VISITORS","seq":184467440737095516}`, `{"stream":"VISITORS","seq":18446744073709551615}`,
		`{"stream":"VISITORS","seq":0}`, `{"stream":"VISITORS","seq":01}`, `{"stream":"VISITORS","seq":}`, `{"stream":"VISITORS","seq":-1}`,
		`{"stream":"VISITORS","seq":1,"duplicate": true}`, `{"stream":"VISITORS","domain":"d","seq":1}`, `{"stream":"VISITORS","seq":7,"batch":"b","count":3}`,
		`{"stream":"VISITORS2","seq":1}`, `{"stream":"VISITOR","seq":1}`, `{"stream":"VISITORS","seq":1e3}`, `{"stream":"VISITORS","seq":1}}`, `{"stream":"VISITORS","seq":1`,
		`{"stream":"VISITORS", "seq":1}`, `{"error":{"code":503,"err_code":10077},"stream":"VISITORS","seq":0}`, ``, `{}`, `[]`, `null`,
	} {
		sequence, ok := plainAck([]byte(text), "VISITORS")
		if !ok {
			continue
		}
		plain++
		var want struct {
			Stream    string
			Seq       uint64
			Duplicate bool
			Count     int
			Error     any
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil || want.Stream != "VISITORS" || want.Seq != sequence || want.Duplicate || want.Count > 0 || want.Error != nil {
			t.Errorf("%s is read as %d, by encoding/json as %+v, %v", text, sequence, want, err)
		}
	}
	if plain != 2 {
		t.Errorf("%d were read by hand", plain)
	}
	if _, ok := plainAck(fmt.Appendf(nil, `{"stream":%q,"seq":1}`, `A"B`), `A"B`); ok {
		t.Error("an escaped name was read by hand")
	}
}
