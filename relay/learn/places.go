package learn

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/sine-relay/sine-relay/relay/fields"
	"github.com/sine-relay/sine-relay/relay/shape"
)

// value is a JSON value, with a text that is JSON taken for what it holds.
type value struct {
	// kind is '{', '[', '"', '0' for a number, 't' for a boolean, or 'n'.
	kind    byte
	text    string // of a scalar
	keys    []string
	members []value // of an object or a list
	// unseen is set where the text stands for another one that is not known.
	unseen bool
}

// maxTexts is how many times over an object may be written as a JSON text.
const maxTexts = 3

// parse reads JSON that was found valid.
func parse(text []byte, texts int) (v value, err error) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, fields.ByteOrderMark)))
	d.UseNumber()
	return next(d, texts)
}

func next(d *json.Decoder, texts int) (value, error) {
	token, err := d.Token()
	if err != nil {
		return value{}, err
	}
	switch t := token.(type) {
	case json.Delim:
		return container(d, byte(t), texts)
	case string:
		if start := strings.TrimSpace(t); texts > 0 && start != "" && (start[0] == '{' || start[0] == '[') && json.Valid([]byte(t)) {
			return parse([]byte(t), texts-1)
		}
		return value{kind: '"', text: t}, nil
	case json.Number:
		return value{kind: '0', text: t.String()}, nil
	case bool:
		return value{kind: 't', text: strconv.FormatBool(t)}, nil
	default:
		return value{kind: 'n'}, nil
	}
}

func container(d *json.Decoder, kind byte, texts int) (value, error) {
	v := value{kind: kind}
	for d.More() {
		if kind == '{' {
			key, err := d.Token()
			if err != nil {
				return v, err
			}
			v.keys = append(v.keys, key.(string))
		}
		member, err := next(d, texts)
		if err != nil {
			return v, err
		}
		v.members = append(v.members, member)
	}
	_, err := d.Token()
	return v, err
}

// member returns the value of the first key of a set, and the key.
func (v value) member(of map[string]bool) (string, value, bool) {
	for i, key := range v.keys {
		if of[fields.Spelling(key)] {
			return key, v.members[i], true
		}
	}
	return "", value{}, false
}

func (v value) isScalar() bool { return v.kind != '{' && v.kind != '[' && v.kind != 'n' }

// leaf is a scalar of a body, or a list or an object that may hold answers.
type leaf struct {
	at string // the pointer that would find it
	// words are what it is called, spelled as keys are compared, the outermost first.
	words []string
	value value
	// named is set where the last word stands beside the value and is not its key.
	named bool
}

// leaves are what a value holds, without what is at a pointer, which is read apart.
func leaves(v value, without string) []leaf {
	w := walker{without: without}
	w.walk(v, "", nil)
	return w.found
}

type walker struct {
	without string
	found   []leaf
}

// maxLeaves bounds what is looked at of one body.
const maxLeaves = 2000

func (w *walker) walk(v value, at string, words []string) {
	if at != "" && at == w.without || len(w.found) >= maxLeaves {
		return
	}
	switch {
	case v.kind == '{':
		w.object(v, at, words)
	case v.kind == '[':
		w.list(v, at, words)
	case v.isScalar():
		w.found = append(w.found, leaf{at: at, words: words, value: v})
	}
}

func (w *walker) object(v value, at string, words []string) {
	w.found = append(w.found, leaf{at: at, words: words, value: v})
	caption, valueKey, held, named := captioned(v)
	if named {
		w.found = append(w.found, leaf{at: at + "/" + escape(valueKey), words: with(words, fields.Spelling(caption)), value: held, named: true})
	}
	role := roleOf(v)
	if role != "" {
		words = with(words, fields.Spelling(role))
	}
	any := areIDs(v)
	for i, key := range v.keys {
		switch word := fields.Spelling(key); {
		case named && (key == valueKey || v.members[i].text == caption), role != "" && v.members[i].text == role:
		case any:
			w.walk(v.members[i], at+"/*", words)
		case valueWords[word] && len(words) > 0 && v.members[i].isScalar():
			w.found = append(w.found, leaf{at: at + "/" + escape(key), words: words, value: v.members[i]})
		default:
			w.walk(v.members[i], at+"/"+escape(key), with(words, word))
		}
	}
}

func (w *walker) list(v value, at string, words []string) {
	w.found = append(w.found, leaf{at: at, words: words, value: v})
	for i, element := range v.members {
		index, step := strconv.Itoa(i), "*"
		switch element.kind {
		case '{':
			if selector := selectorOf(element); selector != "" {
				step = selector
			}
		case '[':
			if len(element.members) == 2 && element.members[0].kind == '"' && isCaption(fields.Spelling(element.members[0].text)) {
				word := fields.Spelling(element.members[0].text)
				w.found = append(w.found, leaf{at: at + "/" + escape("0="+element.members[0].text) + "/1", words: with(words, word), value: element.members[1], named: true})
				continue
			}
			step = index
		default:
			step = index
		}
		w.walk(element, at+"/"+step, words)
	}
}

// with adds a word to a path that others share.
func with(words []string, word string) []string { return append(slices.Clip(words), word) }

var escapes = strings.NewReplacer("~", "~0", "/", "~1")

func escape(key string) string { return escapes.Replace(key) }

// captioned is the value of an object that says beside it what it is, such as
// {"label": "First name", "value": "Ada"}.
func captioned(v value) (caption, key string, held value, ok bool) {
	for i, k := range v.keys {
		if captionWords[fields.Spelling(k)] && v.members[i].kind == '"' && isCaption(fields.Spelling(v.members[i].text)) {
			caption = v.members[i].text
			break
		}
	}
	if caption == "" {
		return "", "", value{}, false
	}
	key, held, ok = v.member(valueWords)
	return caption, key, held, ok && held.isScalar()
}

// isCaption reports whether a text beside a value says which field it is.
func isCaption(word string) bool {
	of := subjectWords[word]
	return isTerm(word) || of == ofVisit || of == ofPerson || of == ofHost
}

// selectorOf distinguishes an element of a list from the others by what it is: by a word
// of the vocabulary, and by no other text of the body.
func selectorOf(v value) string {
	if _, _, _, ok := captioned(v); ok {
		return selectorBy(v, captionWords, isCaption)
	}
	return selectorBy(v, roleWords, func(word string) bool { return subjectWords[word] != ofNothing })
}

func selectorBy(v value, keys map[string]bool, means func(string) bool) string {
	for i, key := range v.keys {
		text := v.members[i].text
		if keys[fields.Spelling(key)] && v.members[i].kind == '"' && means(fields.Spelling(text)) {
			return escape(key + "=" + text)
		}
	}
	return ""
}

// roleOf is the word by which an object says whose it is, as in {"type": "visitors"}.
func roleOf(v value) string {
	for i, key := range v.keys {
		if roleWords[fields.Spelling(key)] && v.members[i].kind == '"' && subjectWords[fields.Spelling(v.members[i].text)] != ofNothing {
			return v.members[i].text
		}
	}
	return ""
}

// areIDs reports whether the keys of an object are ids, of which the next body has
// others.
func areIDs(v value) bool {
	if len(v.keys) == 0 {
		return false
	}
	for i, key := range v.keys {
		_, _, _, named := captioned(v.members[i])
		if v.members[i].kind != '{' || len(key) < 3 || !strings.ContainsAny(key, "0123456789") || isVocabulary(fields.Spelling(key)) || named {
			return false
		}
	}
	return true
}

// isShown reports whether each key of a place reads like the name of a field, so that
// it can be shown: what serves as a key may be somebody's name.
func isShown(place string) bool {
	for segment := range strings.SplitSeq(place, "/") {
		_, text, selects := strings.Cut(segment, "=")
		switch {
		case selects && isVocabulary(fields.Spelling(text)), isVocabulary(fields.Spelling(segment)), segment == "*":
		case selects, shape.Pointer("/"+segment) != "/"+segment:
			return false
		}
	}
	return true
}
