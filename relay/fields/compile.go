package fields

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sine-relay/sine-relay/visit"
)

// Compile checks a specification and prepares it for reading, or says everything that is
// wrong with it.
func Compile(s Spec) (*Fields, []Problem) {
	c := compiler{f: &Fields{causes: map[string]visit.Cause{}}, places: newTree(), answer: newTree()}
	c.fields(s)
	c.apart()
	c.builtin()
	c.labels("labels.label", s.Labels, builtinLabels, slotLabel)
	c.labels("labels.value", s.Values, builtinValues, slotValue)
	c.dates(s)
	c.words(s)
	if len(c.problems) > 0 {
		slices.SortStableFunc(c.problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
		return nil, c.problems
	}
	c.f.root, c.f.answer, c.f.stars, c.f.spec = c.places.root, c.answer.root, c.places.stars, s
	return c.f, nil
}

type compiler struct {
	f        *Fields
	places   *tree
	answer   *tree
	pointers [fieldCount][]pointer // configured ones, without templates
	problems []Problem
}

func (c *compiler) add(path, format string, args ...any) {
	c.problems = append(c.problems, Problem{path, fmt.Sprintf(format, args...)})
}

// fields adds the configured places.
func (c *compiler) fields(s Spec) {
	for name, places := range s.Places {
		if !slices.Contains(All, name) {
			c.add("fields."+string(name), "unknown field%s; must be one of %s", suggest(string(name), All), join(All))
			continue
		}
		if len(places) > MaxPlaces {
			c.add("fields."+string(name), "has %d places, at most %d are supported", len(places), MaxPlaces)
			continue
		}
		c.f.configured[numberOf(name)] = places
		c.f.counts[numberOf(name)] = uint8(len(places))
	}
	for field := range c.f.configured {
		for i, place := range c.f.configured[field] {
			if err := c.place(field, i, place); err != nil {
				c.add(pathOf(field, i), "%v", err)
			}
		}
	}
}

func pathOf(field, place int) string { return fmt.Sprintf("fields.%s[%d]", All[field], place) }

// place adds one place of a field.
func (c *compiler) place(field, i int, text string) error {
	texts, parts, err := parseTemplate(text)
	if err != nil {
		return err
	}
	if texts != nil {
		return c.template(field, i, texts, parts)
	}
	p, err := parsePointer(text)
	if err != nil {
		return err
	}
	c.pointers[field] = append(c.pointers[field], p)
	c.target(c.places, p, field, i+1, groupOf(field))
	return nil
}

func (c *compiler) target(t *tree, p pointer, slot, place int, group uint8) {
	n := t.at(p)
	severally := slices.ContainsFunc(p, func(s segment) bool { return s.any || s.member != "" })
	n.targets = append(n.targets, target{slot, uint8(place), severally, group})
	if slot == wrapper {
		n.mark |= markWrapper
	}
}

// template adds a place that joins several. An id that is joined of two could be that
// of two visits: 1 and 23, 12 and 3.
func (c *compiler) template(field, i int, texts []string, pointers []pointer) error {
	switch field {
	case visitID, personID:
		return fmt.Errorf("must be a JSON pointer: a template could make one id of two")
	case wrapper, answers:
		return fmt.Errorf("must be a JSON pointer: a template makes a text")
	}
	t := template{field: field, place: i + 1, texts: texts}
	for _, p := range pointers {
		t.parts = append(t.parts, c.f.parts)
		c.target(c.places, p, fieldCount+c.f.parts, i+1, groupOf(field))
		c.f.parts++
	}
	c.f.templates = append(c.f.templates, t)
	return nil
}

// apart looks for a place that is said to hold both an id of the visit and one of the
// person: every visit of the person would be one.
func (c *compiler) apart() {
	for i, place := range c.f.configured[visitID] {
		v, err := parsePointer(place)
		switch {
		case err != nil:
		case slices.ContainsFunc(c.pointers[personID], v.overlaps):
			c.add(pathOf(visitID, i), "is a place of person.id, too: an id of the person would make one visit of all their visits; name a place that holds an id of the visit alone, or remove it")
		case c.isInside(v, builtinPointers[personID]):
			c.add(pathOf(visitID, i), "is where the id of the person is looked for; it would make one visit of all their visits: name a place that holds an id of the visit alone, or remove it")
		case c.isInside(v, hostIDs):
			c.add(pathOf(visitID, i), "is where the id of the host may be; it would make one visit of all visits to them: name a place that holds an id of the visit alone, or remove it")
		}
	}
}

// hostIDs are places where an id of the host may be. None of them is read.
var hostIDs = []pointer{mustPointer("/data/host/id"), mustPointer("/data/hostId")}

// isInside reports whether a pointer may lead to a value at one of these places, be it by
// way of a wrapper.
func (c *compiler) isInside(p pointer, places []pointer) bool {
	if slices.ContainsFunc(places, p.overlaps) {
		return true
	}
	return slices.ContainsFunc(slices.Concat(c.pointers[wrapper], builtinPointers[wrapper]), func(w pointer) bool {
		return len(p) > len(w) && p[:len(w)].overlaps(w) && slices.ContainsFunc(places, p[len(w):].overlaps)
	})
}

// builtin adds the built-in places. The first of each field is added before the others,
// so that the keys that Sine is known to use are the first to be compared.
func (c *compiler) builtin() {
	longest := 0
	for field := range builtin {
		longest = max(longest, len(builtin[field]))
	}
	for i := range longest {
		for field := range builtin {
			if i < len(builtin[field]) {
				c.builtinPlace(field, i)
			}
		}
	}
	c.places.at(mustPointer("/data")).mark |= markPass
	c.places.at(mustPointer("/data/host")).mark |= markHost
}

func (c *compiler) builtinPlace(field, i int) {
	if field == visitID && c.f.configured[visitID] != nil {
		return
	}
	p := builtinPointers[field][i]
	if field == visitID && slices.ContainsFunc(c.pointers[personID], p.overlaps) ||
		field == personID && slices.ContainsFunc(c.pointers[visitID], p.overlaps) {
		return
	}
	c.target(c.places, p, field, len(c.f.configured[field])+i+1, 0)
	if builtin[field][i] == bareID {
		c.f.bareID = uint8(i + 1)
	}
}

var builtinPointers = func() (all [fieldCount][]pointer) {
	for field, places := range builtin {
		for _, place := range places {
			all[field] = append(all[field], mustPointer(place))
		}
	}
	return all
}()

func mustPointer(text string) pointer {
	p, err := parsePointer(text)
	if err != nil {
		panic(fmt.Sprintf("built-in place %s: %v", text, err))
	}
	return p
}

// labels adds the keys of one part of an answer: a key, or a pointer from the answer.
func (c *compiler) labels(path string, configured, builtin []string, slot int) {
	if len(configured) > MaxPlaces {
		c.add(path, "has %d places, at most %d are supported", len(configured), MaxPlaces)
		return
	}
	for i, text := range slices.Concat(configured, builtin) {
		if !strings.HasPrefix(text, "/") {
			text = "/" + text
		}
		if text == "/" {
			c.add(fmt.Sprintf("%s[%d]", path, i), "must be a key of an answer, such as question, and is empty")
			continue
		}
		p, err := parsePointer(text)
		if err != nil {
			c.add(fmt.Sprintf("%s[%d]", path, i), "%v", err)
			continue
		}
		c.target(c.answer, p, slot, i+1, 0)
	}
}

func (c *compiler) dates(s Spec) {
	c.f.dates.zone = s.DateZone
	if len(s.DateFormats) > MaxPlaces {
		c.add("dates.formats", "has %d formats, at most %d are supported", len(s.DateFormats), MaxPlaces)
		return
	}
	for i, text := range s.DateFormats {
		format, err := ParseFormat(text)
		if err != nil {
			c.add(fmt.Sprintf("dates.formats[%d]", i), "%v", err)
			continue
		}
		for _, other := range s.DateFormats[:i] {
			if other != text && dayOrMonth.Replace(other) == dayOrMonth.Replace(text) {
				c.add(fmt.Sprintf("dates.formats[%d]", i), "reads the same text as %s with another meaning: which is the day and which the month?", other)
			}
		}
		c.f.dates.formats = append(c.f.dates.formats, format)
	}
}

// dayOrMonth makes formats equal that differ in what is the day and what the month alone.
var dayOrMonth = strings.NewReplacer("%d", "%m", "%e", "%m")

var causes = []visit.Cause{visit.CauseCheckedOut, visit.CauseExpired, visit.CauseLeftArea, visit.CauseUnknown}

func (c *compiler) words(s Spec) {
	for word, cause := range s.Causes {
		path, key := "causeAliases."+word, Spelling(word)
		other, twice := c.f.causes[key]
		switch {
		case !slices.Contains(causes, cause):
			c.add(path, "must be one of %s, got %q", join(causes), cause)
		case key == "":
			c.add(path, "contains neither a letter nor a digit")
		case twice && other != cause:
			c.add(path, "is another spelling of a word that already stands for %s", other)
		}
		c.f.causes[key] = cause
	}
}

func join[T ~string](all []T) string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = string(one)
	}
	return strings.Join(texts, ", ")
}

// suggest finds the field that somebody meant.
func suggest(name string, among []Field) string {
	for _, f := range among {
		_, last, nested := strings.Cut(string(f), ".")
		if Spelling(name) == Spelling(string(f)) || nested && Spelling(name) == Spelling(last) {
			return "; did you mean " + string(f) + "?"
		}
	}
	return ""
}
