package schematest

import (
	"strings"
	"testing"
	"testing/fstest"
)

const text = `{"$schema":"https://json-schema.org/draft/2020-12/schema","$id":"https://example.com/note.schema.json","type":"object","properties":{"at":{"type":"string","format":"date-time"}},"required":["at"]}`

func folder(files ...string) fstest.MapFS {
	f := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		f[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return f
}

func TestSchemas_JudgeMessages(t *testing.T) {
	t.Parallel()
	s, err := Compile(folder("note.schema.json", text, "note-headers.schema.json", strings.ReplaceAll(text, "note.", "note-headers.")))
	if err != nil {
		t.Fatal(err)
	}
	const noon = "2026-11-18T12:00:00Z"
	valid := map[string][]string{"at": {noon}}
	if err := s.ValidateMessage("note", valid, []byte(`{"at":"`+noon+`"}`)); err != nil {
		t.Error(err)
	}
	for want, err := range map[string]error{
		"missing property": s.Validate("note", []byte(`{}`)), "not valid date-time": s.Validate("note", []byte(`{"at":"noon"}`)),
		"unexpected EOF": s.Validate("note", []byte(`{`)), `no schema "other"`: s.Validate("other", []byte(`{}`)),
		"has 2 values":         s.ValidateHeaders("note-headers", map[string][]string{"at": {noon, noon}}),
		`no schema of "other"`: s.ValidateMessage("other", valid, nil),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestCompile_RefusesWhatIsNotASchema(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]fstest.MapFS{
		"nothing":               {},
		"no JSON":               folder("note.schema.json", "{"),
		"no valid schema":       folder("note.schema.json", strings.ReplaceAll(text, `"object"`, `"thing"`)),
		"an $id that is used":   folder("a.schema.json", text, "b.schema.json", text),
		"a reference elsewhere": folder("note.schema.json", strings.ReplaceAll(text, `"type":"object"`, `"$ref":"#/$defs/none"`)),
	} {
		if _, err := Compile(files); err == nil {
			t.Errorf("%s was compiled", name)
		}
	}
}
