package httpapi

import (
	"bytes"
	"encoding/json"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// MaxID is the largest id: the largest whole number that every JSON reader
// holds exactly (2^53 - 1).
const MaxID = 1<<53 - 1

// ByID is embedded by inputs of routes that end in an id.
type ByID struct {
	ID int64 `path:"id" minimum:"1" maximum:"9007199254740991" doc:"The number of the record."`
}

// Timestamp is a time as the API writes it: RFC 3339, UTC, milliseconds.
type Timestamp time.Time

const timestampLayout = "2006-01-02T15:04:05.000Z"

// MarshalJSON writes the time in the API's layout.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	return []byte(`"` + time.Time(t).UTC().Format(timestampLayout) + `"`), nil
}

// Schema documents the layout.
func (Timestamp) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "date-time", Examples: []any{"2026-01-31T09:30:00.000Z"}}
}

// timestampOf is a Timestamp for a time that may be absent; null then.
func timestampOf(t *time.Time) *Timestamp {
	if t == nil {
		return nil
	}
	ts := Timestamp(*t)
	return &ts
}

// Optional is a body field of which it matters whether it was there: absent,
// null and a value are three things. Tag it omitzero, and nullable:"true"
// where null has a meaning.
type Optional[T any] struct {
	Value T
	Set   bool // the field was present, be it null
	Null  bool // the field was null; Value is zero
}

// Some is an Optional that is present.
func Some[T any](v T) Optional[T] { return Optional[T]{Value: v, Set: true} }

// Or returns the value, or otherwise where the field was absent or null.
func (o Optional[T]) Or(otherwise T) T {
	if !o.Set || o.Null {
		return otherwise
	}
	return o.Value
}

// Ptr returns the value, or nil where the field was absent or null.
func (o Optional[T]) Ptr() *T {
	if !o.Set || o.Null {
		return nil
	}
	return &o.Value
}

// UnmarshalJSON notes that the field was present.
func (o *Optional[T]) UnmarshalJSON(data []byte) error {
	o.Set = true
	if bytes.Equal(data, []byte("null")) {
		o.Null = true
		return nil
	}
	return json.Unmarshal(data, &o.Value)
}

// Schema documents an Optional as the value it holds.
func (Optional[T]) Schema(r huma.Registry) *huma.Schema {
	return r.Schema(reflect.TypeFor[T](), true, "")
}
