package contract_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sine-relay/sine-relay/internal/schematest"
	"github.com/sine-relay/sine-relay/visit"
	"github.com/sine-relay/sine-relay/visit/contract"
)

// The promise of v1: whatever was released is understood today, and what is sent today
// by every program that was written for a release.
func TestReleased_VersionsAreCompatible(t *testing.T) {
	t.Parallel()
	folders, err := os.ReadDir("released")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		for _, difference := range breaking(os.DirFS("released/"+f.Name()), contract.Files()) {
			t.Errorf("since %s: %s", f.Name(), difference)
		}
	}
}

// breaking returns what breaks a program that was written for a release.
func breaking(released, today fs.FS) []string {
	all := append(schemaDifferences(released, today), channelDifferences(released, today)...)
	for _, err := range []error{
		describe("a message of today is not as the release says", validExamples(released, today)),
		describe("a message of the release is not as today's schema says", validExamples(today, released)),
		describe("a message of the release is not read by package visit of today", readExamples(released)),
	} {
		if err != nil {
			all = append(all, err.Error())
		}
	}
	return all
}

func describe(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// validExamples validates the messages of one version by the schemas of another, as far
// as this one knows them.
func validExamples(schemas, messages fs.FS) error {
	compiled, err := schematest.Compile(schemas)
	if err != nil {
		return err
	}
	return eachExample(messages, func(of string, e contract.Example) error {
		if !compiled.Has(of) {
			return nil // it was added later
		}
		return compiled.ValidateMessage(of, natsHeader(e.Headers), e.Payload)
	})
}

func eachExample(messages fs.FS, do func(of string, e contract.Example) error) error {
	files, err := fs.Glob(messages, "examples/*.json")
	if err != nil || len(files) == 0 {
		return fmt.Errorf("there are no examples: %w", err)
	}
	var problems []error
	for _, file := range files {
		text, err := fs.ReadFile(messages, file)
		if err != nil {
			return err
		}
		var all []contract.Example
		if err := json.Unmarshal(text, &all); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		of := strings.TrimSuffix(strings.TrimPrefix(file, "examples/"), ".json")
		for _, e := range all {
			if err := do(of, e); err != nil {
				problems = append(problems, fmt.Errorf("%s, %q: %w", of, e.Name, err))
			}
		}
	}
	return errors.Join(problems...)
}

func natsHeader(headers map[string]string) map[string][]string {
	all := map[string][]string{}
	for name, value := range headers {
		all[name] = []string{value}
	}
	return all
}

// readExamples reads messages with package visit and writes them again. Nothing of them
// may be lost, as a field is that was renamed.
func readExamples(messages fs.FS) error {
	return eachExample(messages, func(of string, e contract.Example) error {
		again, err := rewrite(of, e)
		if err != nil {
			return err
		}
		var problems []error
		if again.Subject != e.Subject {
			problems = append(problems, fmt.Errorf("its subject %s became %q", e.Subject, again.Subject))
		}
		for name, value := range e.Headers {
			if got := strings.Join(again.Header[name], ""); got != value {
				problems = append(problems, fmt.Errorf("its header %s: %q became %q", name, value, got))
			}
		}
		if of != "quarantined" {
			problems = append(problems, lost("", e.Payload, again.Data)...)
		}
		return errors.Join(problems...)
	})
}

func rewrite(of string, e contract.Example) (m visit.Message, err error) {
	switch of {
	case "event":
		var v visit.Event
		if err = json.Unmarshal(e.Payload, &v); err == nil {
			m, err = v.Message(visit.Subjects{})
		}
	case "check-in-request":
		var v visit.CheckInRequest
		if err = json.Unmarshal(e.Payload, &v); err == nil {
			m, err = v.Message(visit.Subjects{}, e.Subject[strings.LastIndex(e.Subject, ".")+1:])
			for _, ofAttempt := range []string{visit.HeaderTimeout, visit.HeaderAttempt} {
				m.Header[ofAttempt] = []string{e.Headers[ofAttempt]}
			}
		}
	case "decision-record":
		var v visit.Record
		if err = json.Unmarshal(e.Payload, &v); err == nil {
			m, err = v.Message(visit.Subjects{})
		}
	case "audit":
		var v visit.Audit
		if v, err = visit.ParseAudit(visit.Subjects{}, e.Subject, e.Payload); err == nil {
			m, err = v.Message(visit.Subjects{})
		}
	case "decision":
		var v visit.Decision
		if v, err = visit.ParseDecision(e.Payload); err == nil {
			m.Data, err = json.Marshal(v)
		}
	case "order":
		var v visit.Order
		if err = json.Unmarshal(e.Payload, &v); err == nil {
			m.Data, err = json.Marshal(v)
			err = errors.Join(err, v.Validate())
		}
	case "lift":
		var v visit.Lift
		if err = json.Unmarshal(e.Payload, &v); err == nil {
			m.Data, err = json.Marshal(v)
			err = errors.Join(err, v.Validate())
		}
	case "quarantined":
		var v visit.Quarantined
		if v, err = visit.ParseQuarantined(e.Subject, natsHeader(e.Headers), e.Payload); err == nil {
			m = v.Message(visit.Subjects{})
		}
	default:
		err = fmt.Errorf("package visit has no message %s", of)
	}
	return m, err
}

// lost returns what of a JSON value is not in another one.
func lost(path string, before, after json.RawMessage) (problems []error) {
	var old, now map[string]json.RawMessage
	if json.Unmarshal(before, &old) == nil && old != nil && json.Unmarshal(after, &now) == nil && now != nil {
		for name, value := range old {
			if now[name] == nil {
				problems = append(problems, fmt.Errorf("its field %s%s is lost", path, name))
				continue
			}
			problems = append(problems, lost(path+name+".", value, now[name])...)
		}
		return problems
	}
	var oldList, nowList []json.RawMessage
	if json.Unmarshal(before, &oldList) == nil && json.Unmarshal(after, &nowList) == nil && len(oldList) == len(nowList) {
		for i := range oldList {
			problems = append(problems, lost(fmt.Sprintf("%s%d.", path, i), oldList[i], nowList[i])...)
		}
		return problems
	}
	if same(before, after) {
		return nil
	}
	return []error{fmt.Errorf("its field %s: %s became %s", strings.TrimSuffix(path, "."), before, after)}
}

// same reports whether two values are equal as JSON.
func same(a, b any) bool {
	normal := func(v any) string {
		text, err := json.Marshal(v)
		var decoded any
		if err != nil || json.Unmarshal(text, &decoded) != nil {
			return ""
		}
		text, _ = json.Marshal(decoded) // it was decoded in the line above
		return string(text)
	}
	return normal(a) == normal(b)
}
