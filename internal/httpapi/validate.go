package httpapi

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
)

// validator checks a JSON value against the schema that the document shows.
// Messages come from the schema alone and never from the value.
type validator struct {
	registry huma.Registry
	faults   *faultList
	later    map[*huma.Schema]bool // texts whose bounds the domain checks
	left     int                   // how many more values it looks at
	restated bool                  // a value now stands in the tree in another form than it was sent in
}

// maxValues is how many values of a body are looked at one by one: some times
// what the largest sound one has, the 500 ids of POST /jobs/bulk. What a job
// sends as its body is one value, whatever it holds.
const maxValues = 2000

func (s *server) validator(faults *faultList) validator {
	return validator{registry: s.api.OpenAPI().Components.Schemas, faults: faults, later: s.checkedLater, left: maxValues}
}

// maxFieldName bounds what is repeated of a name that a client made up.
const maxFieldName = 100

// child is the path of a member.
func child(path, name string) string {
	if utf8.RuneCountInString(name) > maxFieldName {
		name = string([]rune(name)[:maxFieldName]) + "…"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

// fault notes a fault and marks the value, so that it is not bound.
func (v *validator) fault(n *node, path, format string, args ...any) {
	n.faulty = true
	v.faults.addf(path, format, args...)
}

// open reads what a value consists of, at most one part more than may be there;
// false, and a fault, where that is more than is looked at.
func (v *validator) open(n *node, most *int, path string) bool {
	parts := v.left
	if most != nil {
		parts = min(parts, *most+1)
	}
	whole := n.open(parts)
	count := len(n.members) + len(n.items)
	v.left -= count
	if !whole && (most == nil || count <= *most) {
		v.fault(n, path, "has more in it than is looked at")
		return false
	}
	return true
}

func (v *validator) resolve(s *huma.Schema) *huma.Schema {
	for s.Ref != "" {
		s = v.registry.SchemaFromRef(s.Ref)
	}
	return s
}

// check notes every fault of the value. Null is a fault unless the schema is
// nullable; a schema without a type takes anything, as it is.
func (v *validator) check(s *huma.Schema, n *node, path string) {
	nullable := s.Nullable
	s = v.resolve(s)
	if s.Type == "" {
		if n.broken { // a job would send another character in its place
			v.fault(n, path, halfAPair)
		}
		return
	}
	if n.kind == nullNode {
		if !nullable && !s.Nullable {
			v.fault(n, path, "must not be null")
		}
		return
	}
	switch s.Type {
	case huma.TypeObject:
		v.object(s, n, path)
	case huma.TypeArray:
		v.array(s, n, path)
	case huma.TypeString:
		v.text(s, n, path)
	case huma.TypeInteger:
		v.integer(s, n, path)
	case huma.TypeNumber:
		v.number(s, n, path)
	case huma.TypeBoolean:
		if n.kind != boolNode {
			v.fault(n, path, "must be true or false")
		}
	}
}

func (v *validator) object(s *huma.Schema, n *node, path string) {
	if n.kind != objectNode {
		v.fault(n, path, "must be an object")
		return
	}
	if !v.open(n, s.MaxProperties, path) {
		return
	}
	if s.MinProperties != nil && len(n.members) < *s.MinProperties {
		v.fault(n, path, "must have at least %d entries", *s.MinProperties)
	}
	if s.MaxProperties != nil && len(n.members) > *s.MaxProperties {
		v.fault(n, path, "must have at most %d entries", *s.MaxProperties)
		return
	}
	present := make(map[string]bool, len(n.members))
	for _, m := range n.members {
		at := child(path, m.name)
		present[m.name] = true
		if m.repeated {
			v.faults.add(at, "is given more than once")
			continue
		}
		if property, known := s.Properties[m.name]; known {
			v.check(property, m.value, at)
			continue
		}
		if rest, ok := s.AdditionalProperties.(*huma.Schema); ok {
			v.check(rest, m.value, at)
			continue
		}
		if rest, ok := s.AdditionalProperties.(bool); !ok || !rest {
			v.fault(m.value, at, "is not a field of this request")
		}
	}
	for _, name := range s.Required {
		if !present[name] {
			v.faults.add(child(path, name), "is required")
		}
	}
}

func (v *validator) array(s *huma.Schema, n *node, path string) {
	if n.kind != arrayNode {
		v.fault(n, path, "must be an array")
		return
	}
	if !v.open(n, s.MaxItems, path) {
		return
	}
	if s.MinItems != nil && len(n.items) < *s.MinItems {
		v.fault(n, path, "must have at least %d items", *s.MinItems)
	}
	if s.MaxItems != nil && len(n.items) > *s.MaxItems {
		v.fault(n, path, "must have at most %d items", *s.MaxItems)
		return
	}
	seen := map[string]bool{}
	for i, item := range n.items {
		at := path + "[" + strconv.Itoa(i) + "]"
		v.check(s.Items, item, at)
		if s.UniqueItems && !item.faulty {
			if seen[string(item.raw)] {
				v.fault(item, at, "is given more than once")
			}
			seen[string(item.raw)] = true
		}
	}
}

const halfAPair = "has half of a surrogate pair, which is no character"

func (v *validator) text(s *huma.Schema, n *node, path string) {
	if n.kind != stringNode {
		v.fault(n, path, "must be a string")
		return
	}
	if n.broken {
		v.fault(n, path, halfAPair)
		return
	}
	if v.later[s] {
		return
	}
	if message := textFault(s, n.text); message != "" {
		v.fault(n, path, "%s", message)
		return
	}
	if plain := plainForm(s, n.text); plain != n.text {
		n.raw, v.restated = []byte(strconv.Quote(plain)), true
	}
}

// plainForm is how a sound text is bound: RFC 3339 allows t and z too, which Go
// does not read.
func plainForm(s *huma.Schema, text string) string {
	if s.Format == "date-time" {
		return strings.ToUpper(text)
	}
	return text
}

// textFault says what is wrong with a string; "" where nothing is. It serves
// parameters too.
func textFault(s *huma.Schema, text string) string {
	length := utf8.RuneCountInString(text)
	switch {
	case s.MinLength != nil && *s.MinLength == 1 && length == 0:
		return "must not be empty"
	case s.MinLength != nil && length < *s.MinLength:
		return fmt.Sprintf("must have at least %d characters", *s.MinLength)
	case s.MaxLength != nil && length > *s.MaxLength:
		return fmt.Sprintf("must have at most %d characters", *s.MaxLength)
	case s.Pattern != "" && !compiled(s.Pattern).MatchString(text):
		if s.PatternDescription != "" {
			return "must be " + s.PatternDescription
		}
		return "must match the pattern " + s.Pattern
	case s.Format == "date-time":
		return timeFault(text)
	}
	if len(s.Enum) > 0 {
		names := make([]string, len(s.Enum))
		for i, allowed := range s.Enum {
			names[i] = fmt.Sprint(allowed)
			if names[i] == text {
				return ""
			}
		}
		return "must be one of " + strings.Join(names, ", ")
	}
	return ""
}

// rfc3339 is stricter than package time, which also takes 9:30:00, 09:30:00,5 and
// +24:00.
var rfc3339 = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)

// timeFault says what is wrong with a time; "" where nothing is. The years are
// those that a database holds.
func timeFault(text string) string {
	text = strings.ToUpper(text)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || !rfc3339.MatchString(text) {
		const wanted = "must be a time in RFC 3339, for instance 2026-01-31T09:30:00Z"
		if rfc3339.MatchString(strings.Replace(text, " ", "+", 1)) {
			return wanted + "; a + in a query is written %2B"
		}
		return wanted
	}
	if year := t.UTC().Year(); year < 1000 || year > 9999 {
		return "must be in the years 1000 to 9999"
	}
	return ""
}

func (v *validator) integer(s *huma.Schema, n *node, path string) {
	if n.kind != numberNode {
		v.fault(n, path, "must be a whole number")
		return
	}
	if message := integerFault(s, string(n.raw)); message != "" {
		v.fault(n, path, "%s", message)
	}
}

// plainInteger is a whole number as both JSON and a query write it; 1.0 and
// 1e3 are left to those who need them.
var plainInteger = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)

// integerFault says what is wrong with a whole number; "" where nothing is. It
// serves parameters too.
func integerFault(s *huma.Schema, text string) string {
	if !plainInteger.MatchString(text) {
		return "must be a whole number"
	}
	lowest, highest := int64(math.MinInt64), int64(math.MaxInt64)
	if s.Format == "int32" {
		lowest, highest = math.MinInt32, math.MaxInt32
	}
	if s.Minimum != nil {
		lowest = int64(*s.Minimum)
	}
	if s.Maximum != nil {
		highest = int64(*s.Maximum)
	}
	number, err := strconv.ParseInt(text, 10, 64)
	if err == nil && lowest <= number && number <= highest {
		return ""
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		return fmt.Sprintf("must be from %d to %d", lowest, highest)
	case s.Minimum != nil:
		return fmt.Sprintf("must be at least %d", lowest)
	default:
		return fmt.Sprintf("must be at most %d", highest)
	}
}

func (v *validator) number(s *huma.Schema, n *node, path string) {
	if n.kind != numberNode {
		v.fault(n, path, "must be a number")
		return
	}
	number, err := strconv.ParseFloat(string(n.raw), 64)
	switch {
	case err != nil:
		v.fault(n, path, "is out of range")
	case s.Minimum != nil && number < *s.Minimum:
		v.fault(n, path, "must be at least %v", *s.Minimum)
	case s.Maximum != nil && number > *s.Maximum:
		v.fault(n, path, "must be at most %v", *s.Maximum)
	}
}

// patterns holds the compiled patterns of the schemas, which are few and fixed.
var patterns sync.Map

func compiled(pattern string) *regexp.Regexp {
	if re, ok := patterns.Load(pattern); ok {
		return re.(*regexp.Regexp)
	}
	re := regexp.MustCompile(pattern)
	patterns.Store(pattern, re)
	return re
}
