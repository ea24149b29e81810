package contract_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// schemaDifferences returns what breaks between the schemas of two versions. Only what
// is optional may be added: fields that need not be there, and values of an open
// enumeration. A rule that is relaxed breaks as well: relays and programs of both
// versions work side by side.
func schemaDifferences(released, today fs.FS) []string {
	var d differences
	files, err := fs.Glob(released, "*.schema.json")
	if err != nil || len(files) == 0 {
		return []string{fmt.Sprintf("the release has no schemas: %v", err)}
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".schema.json")
		old, err := readJSON(released, file)
		if err != nil {
			d.add(name, "the release cannot be read: %v", err)
			continue
		}
		now, err := readJSON(today, file)
		if err != nil {
			d.add(name, "the schema cannot be read today: %v", err)
			continue
		}
		if !same(old["$id"], now["$id"]) {
			d.add(name, "the $id changed from %v to %v", old["$id"], now["$id"])
		}
		d.oldRoot, d.nowRoot = old, now
		d.compare(name, old, now)
	}
	return d.all
}

func readJSON(files fs.FS, name string) (v map[string]any, err error) {
	text, err := fs.ReadFile(files, name)
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	return v, err
}

type differences struct {
	oldRoot, nowRoot map[string]any
	all              []string
}

func (d *differences) add(path, format string, args ...any) {
	d.all = append(d.all, path+": "+fmt.Sprintf(format, args...))
}

// annotations are keywords without a rule, structure those that are compared in parts.
var (
	annotations = []string{"$schema", "$id", "$comment", "$defs", "$ref", "title", "description", "examples"}
	structure   = []string{"properties", "required", "items", "enum", "anyOf"}
)

func (d *differences) compare(path string, old, now map[string]any) {
	old, now = resolved(d.oldRoot, old), resolved(d.nowRoot, now)
	d.compareFields(path, old, now)
	d.compareValues(path, old, now)
	oldItems, nowItems := objectIn(old, "items"), objectIn(now, "items")
	if oldItems != nil && nowItems != nil {
		d.compare(path+"[]", oldItems, nowItems)
	}
	keywords := slices.Sorted(maps.Keys(old))
	for name := range now {
		if _, both := old[name]; !both {
			keywords = append(keywords, name)
		}
	}
	for _, keyword := range keywords {
		if !slices.Contains(annotations, keyword) && !slices.Contains(structure, keyword) && !same(old[keyword], now[keyword]) {
			d.add(path, "%s changed from %s to %s", keyword, inJSON(old[keyword]), inJSON(now[keyword]))
		}
	}
}

func (d *differences) compareFields(path string, old, now map[string]any) {
	oldFields, nowFields := objectIn(old, "properties"), objectIn(now, "properties")
	for _, name := range slices.Sorted(maps.Keys(oldFields)) {
		if nowFields[name] == nil {
			d.add(path+"."+name, "the field was removed")
			continue
		}
		d.compare(path+"."+name, objectIn(oldFields, name), objectIn(nowFields, name))
	}
	oldRequired, nowRequired := texts(old["required"]), texts(now["required"])
	for _, name := range nowRequired {
		if !slices.Contains(oldRequired, name) {
			d.add(path+"."+name, "the field became required")
		}
	}
	for _, name := range oldRequired {
		if !slices.Contains(nowRequired, name) && nowFields[name] != nil {
			d.add(path+"."+name, "the field is no longer required")
		}
	}
}

// compareValues compares enumerations. An open one is one of two alternatives, any text
// the other.
func (d *differences) compareValues(path string, old, now map[string]any) {
	oldValues, oldOpen := enumeration(old)
	nowValues, nowOpen := enumeration(now)
	for _, v := range oldValues {
		if !slices.Contains(nowValues, v) {
			d.add(path, "the value %q was removed", v)
		}
	}
	for _, v := range nowValues {
		if !slices.Contains(oldValues, v) && !nowOpen {
			d.add(path, "the value %q was added to a closed enumeration", v)
		}
	}
	if oldOpen != nowOpen && len(oldValues) > 0 && len(nowValues) > 0 {
		d.add(path, "the enumeration was closed or opened")
	}
}

func enumeration(s map[string]any) (values []string, open bool) {
	alternatives, _ := s["anyOf"].([]any)
	for _, a := range alternatives {
		if one, ok := a.(map[string]any); ok && one["enum"] != nil {
			return texts(one["enum"]), true
		}
	}
	return texts(s["enum"]), false
}

func resolved(root, s map[string]any) map[string]any {
	for {
		reference, ok := s["$ref"].(string)
		if !ok {
			return s
		}
		s = objectIn(objectIn(root, "$defs"), strings.TrimPrefix(reference, "#/$defs/"))
	}
}

func objectIn(of map[string]any, name string) map[string]any {
	o, _ := of[name].(map[string]any)
	return o
}

func texts(list any) (all []string) {
	values, _ := list.([]any)
	for _, v := range values {
		all = append(all, fmt.Sprint(v))
	}
	return all
}

func inJSON(v any) string {
	if v == nil {
		return "nothing"
	}
	text, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// channelDifferences returns what breaks between the AsyncAPI documents of two versions:
// a channel with another address, or one without a message that it had.
func channelDifferences(released, today fs.FS) []string {
	var d differences
	old, err := readJSON(released, "asyncapi.json")
	if err != nil {
		return []string{"asyncapi: the release cannot be read: " + err.Error()}
	}
	now, err := readJSON(today, "asyncapi.json")
	if err != nil {
		return []string{"asyncapi: it cannot be read today: " + err.Error()}
	}
	for _, part := range []string{"channels", "operations"} {
		oldPart, nowPart := objectIn(old, part), objectIn(now, part)
		for _, name := range slices.Sorted(maps.Keys(oldPart)) {
			path, before, after := part+"."+name, objectIn(oldPart, name), objectIn(nowPart, name)
			if after == nil {
				d.add(path, "it was removed")
				continue
			}
			for _, same := range []string{"address", "action", "channel", "bindings"} {
				d.equal(path, same, before, after)
			}
			for message := range objectIn(before, "messages") {
				if objectIn(after, "messages")[message] == nil {
					d.add(path, "the message %s was removed", message)
				}
			}
		}
	}
	return d.all
}

func (d *differences) equal(path, field string, before, after map[string]any) {
	if !same(before[field], after[field]) {
		d.add(path, "%s changed from %s to %s", field, inJSON(before[field]), inJSON(after[field]))
	}
}
