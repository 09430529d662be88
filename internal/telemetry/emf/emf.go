// Package emf reads lines of CloudWatch's embedded metric format as strictly as
// its specification is written: CloudWatch drops what breaks a rule, and says so
// nowhere near. It is for tests, and knows none of the product's metrics.
package emf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Value is a metric as a line has it, under one set of dimensions.
type Value struct {
	Namespace, Name, Unit string
	Dimensions            map[string]string
	Amounts               []float64
}

// String is the metric with its dimensions, as one word.
func (v Value) String() string {
	text := v.Name
	for _, name := range slices.Sorted(maps.Keys(v.Dimensions)) {
		text += "," + name + "=" + v.Dimensions[name]
	}
	return text
}

// Line is what a line tells.
type Line struct {
	At      time.Time
	Values  []Value
	Members map[string]any // all that it has, the format's own aside
}

// The limits of the format, and of a line in CloudWatch Logs.
const (
	maxLine       = 256 << 10
	maxMetrics    = 100 // of a directive
	maxAmounts    = 100
	maxDimensions = 30
	maxText       = 1024
	lasts         = 14 * 24 * time.Hour // older ones are dropped
	ahead         = 2 * time.Hour       // and those further ahead
)

var (
	units = strings.Fields(`Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits
		Gigabits Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second
		Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None`)
	namespace = regexp.MustCompile(`^[0-9A-Za-z._/#:-]{1,255}$`)
)

type header struct {
	Timestamp         *int64
	CloudWatchMetrics []directive
}

type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []struct {
		Name, Unit        string
		StorageResolution int
	}
}

// Is reports whether a line of a log means to be one of metrics.
func Is(line []byte) bool {
	var own struct {
		AWS json.RawMessage `json:"_aws"`
	}
	return json.Unmarshal(line, &own) == nil && own.AWS != nil
}

// Read reads a line that is written at now. The error is of every rule that it
// breaks.
func Read(text []byte, now time.Time) (Line, error) {
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		return Line{}, fmt.Errorf("no object of JSON: %w", err)
	}
	var own struct {
		AWS json.RawMessage `json:"_aws"`
	}
	err := json.Unmarshal(text, &own)
	var head header
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(own.AWS))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(&head)
	}
	if err != nil {
		return Line{}, fmt.Errorf("_aws: %w", err)
	}
	delete(members, "_aws")
	r := reader{line: Line{Members: members}}
	if len(text) > maxLine || bytes.IndexByte(bytes.TrimSuffix(text, []byte("\n")), '\n') >= 0 {
		r.fault("%d bytes, or more than one line", len(text))
	}
	if head.Timestamp == nil {
		r.fault("no timestamp")
	} else if r.line.At = time.UnixMilli(*head.Timestamp).UTC(); r.line.At.Before(now.Add(-lasts)) || r.line.At.After(now.Add(ahead)) {
		r.fault("the timestamp is %s: not in milliseconds?", r.line.At)
	}
	if len(head.CloudWatchMetrics) == 0 {
		r.fault("no metrics")
	}
	for _, d := range head.CloudWatchMetrics {
		r.directive(d)
	}
	return r.line, errors.Join(r.faults...)
}

type reader struct {
	line   Line
	faults []error
}

func (r *reader) fault(format string, args ...any) {
	r.faults = append(r.faults, fmt.Errorf(format, args...))
}

func (r *reader) directive(d directive) {
	if !namespace.MatchString(d.Namespace) {
		r.fault("namespace %q", d.Namespace)
	}
	if len(d.Metrics) == 0 || len(d.Metrics) > maxMetrics {
		r.fault("%d metrics in a directive", len(d.Metrics))
	}
	if len(d.Dimensions) == 0 {
		r.fault("no set of dimensions")
	}
	for _, set := range d.Dimensions {
		if len(set) > maxDimensions {
			r.fault("a set of %d dimensions", len(set))
		}
		dimensions := map[string]string{}
		for _, name := range set {
			value, ok := r.line.Members[name].(string)
			if !ok || value == "" || len(value) > maxText {
				r.fault("dimension %s is %v, and no text", name, r.line.Members[name])
			}
			dimensions[name] = value
		}
		for _, m := range d.Metrics {
			if m.Name == "" || len(m.Name) > maxText || !slices.Contains(units, m.Unit) || m.StorageResolution != 0 {
				r.fault("metric %q of unit %q and resolution %d", m.Name, m.Unit, m.StorageResolution)
			}
			r.line.Values = append(r.line.Values, Value{d.Namespace, m.Name, m.Unit, maps.Clone(dimensions), r.amounts(m.Name)})
		}
	}
}

func (r *reader) amounts(name string) []float64 {
	all, many := r.line.Members[name].([]any)
	if !many {
		all = []any{r.line.Members[name]}
	}
	if len(all) == 0 || len(all) > maxAmounts {
		r.fault("%s has %d values", name, len(all))
	}
	var amounts []float64
	for _, one := range all {
		amount, ok := one.(float64)
		if !ok {
			r.fault("%s is %v, and no number", name, one)
		}
		amounts = append(amounts, amount)
	}
	return amounts
}
