package audit

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Field is one property of a thing: what it is, and what may be told of it.
type Field struct {
	Name  string
	Value any
	// Masked is told in place of the value where that is secret; nil: the value.
	Masked any
}

// maxText is how many bytes of one field are kept.
const maxText = 2048

// Created is an entry's After for a thing that is new, or its Before for one
// that is gone: all fields but those that are nil.
func Created(fields []Field) json.RawMessage {
	shown := map[string]json.RawMessage{}
	for _, f := range fields {
		if f.Value != nil {
			shown[f.Name] = f.show()
		}
	}
	return object(shown)
}

// Changed are an entry's Before and After: the fields that differ. The lists
// have the same fields in the same order. Both are nil where none differs.
func Changed(before, after []Field) (was, is json.RawMessage) {
	old, present := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	for i, f := range after {
		if !bytes.Equal(encode(before[i].Value), encode(f.Value)) {
			old[f.Name], present[f.Name] = before[i].show(), f.show()
		}
	}
	if len(old) == 0 {
		return nil, nil
	}
	return object(old), object(present)
}

// show is the field as it is told: masked, and cut where it is long.
func (f Field) show() json.RawMessage {
	told := f.Value
	if f.Masked != nil && f.Value != nil {
		told = f.Masked
	}
	text := encode(told)
	if len(text) <= maxText {
		return text
	}
	// What is cut is no longer JSON, and is told as the beginning of a text.
	if whole, ok := told.(string); ok {
		text = []byte(whole)
	}
	return encode(strings.ToValidUTF8(string(text[:min(maxText, len(text))]), "") + "…")
}

func encode(value any) json.RawMessage {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return json.RawMessage(`"?"`) // no JSON, such as a stored body that broke
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

func object(fields map[string]json.RawMessage) json.RawMessage { return encode(fields) }
