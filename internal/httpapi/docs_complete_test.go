package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
)

// gaps are what a schema of a field or parameter leaves unsaid.
func gaps(s map[string]any, asked bool) (gaps []string) {
	if s["description"] == nil {
		gaps = append(gaps, "no description")
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return s[name] != nil })
	}
	kind := typeOf(s)
	if slices.Contains([]string{"string", "integer", "number"}, kind) &&
		!has("examples", "enum", "default") && s["format"] != "date-time" {
		gaps = append(gaps, "no example")
	}
	if kinds, ok := s["type"].([]any); ok && slices.Contains(kinds, any("")) {
		gaps = append(gaps, "no type beside null")
	}
	if !asked { // limits are for what clients send
		return gaps
	}
	switch {
	case kind == "string" && !has("enum", "maxLength", "pattern") && s["format"] != "date-time":
		gaps = append(gaps, "no limit of its length")
	case kind == "integer" && (!has("minimum") || !has("maximum")):
		gaps = append(gaps, "no limits")
	case kind == "array" && !has("maxItems"):
		gaps = append(gaps, "no limit of its items")
	}
	return gaps
}

// sent are the names of the schemas that requests consist of.
func sent(doc map[string]any) map[string]bool {
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	names := map[string]bool{}
	var collect func(value any)
	collect = func(value any) {
		switch value := value.(type) {
		case map[string]any:
			if ref, ok := value["$ref"].(string); ok {
				name := strings.TrimPrefix(ref, schemaPrefix)
				if !names[name] {
					names[name] = true
					collect(schemas[name])
				}
			}
			for _, member := range value {
				collect(member)
			}
		case []any:
			for _, item := range value {
				collect(item)
			}
		}
	}
	for _, path := range doc["paths"].(map[string]any) {
		for _, op := range path.(map[string]any) {
			if body, ok := op.(map[string]any)["requestBody"].(map[string]any); ok {
				for _, media := range body["content"].(map[string]any) {
					collect(media.(map[string]any)["schema"])
				}
			}
		}
	}
	return names
}

func TestDocumentLeavesNothingUnsaid(t *testing.T) {
	t.Parallel()
	_, raw := readDocument(t, newTrial(t, nil).handler())
	var doc map[string]any
	if err := json.Unmarshal([]byte(raw), &doc); err != nil {
		t.Fatal(err)
	}
	inRequests := sent(doc)
	for name, schema := range doc["components"].(map[string]any)["schemas"].(map[string]any) {
		properties, _ := schema.(map[string]any)["properties"].(map[string]any)
		for field, property := range properties {
			for _, gap := range gaps(property.(map[string]any), inRequests[name]) {
				t.Errorf("%s.%s: %s; see the tags doc, example, maxLength and document_words.go", name, field, gap)
			}
		}
	}
	for path, ops := range doc["paths"].(map[string]any) {
		for method, op := range ops.(map[string]any) {
			op := op.(map[string]any)
			place := strings.ToUpper(method) + " " + path
			parameters, _ := op["parameters"].([]any)
			for _, p := range parameters {
				p := p.(map[string]any)
				schema := maps.Clone(p["schema"].(map[string]any))
				schema["description"] = p["description"]
				for _, gap := range gaps(schema, true) {
					t.Errorf("%s: parameter %s: %s", place, p["name"], gap)
				}
			}
			for status, response := range op["responses"].(map[string]any) {
				response := response.(map[string]any)
				if response["description"] == "" || response["headers"] == nil {
					t.Errorf("%s: %s has no description or headers", place, status)
				}
				content, _ := response["content"].(map[string]any)
				for media, content := range content {
					content := content.(map[string]any)
					if _, ok := content["example"]; !ok && content["examples"] == nil {
						t.Errorf("%s: %s as %s has no example", place, status, media)
					}
				}
			}
		}
	}
}

// What encoding/json writes and huma documents comes from the same types, by
// different rules: huma leaves out the fields of embedded types whose own names
// are not exported.
func TestDocumentKnowsEveryFieldThatIsWritten(t *testing.T) {
	t.Parallel()
	registry := newTrial(t, nil).api.OpenAPI().Components.Schemas
	for name, schema := range registry.Map() {
		kind := registry.TypeFromRef(schemaPrefix + name)
		if schema.Type != huma.TypeObject || kind.Kind() != reflect.Struct {
			continue
		}
		for field, documented := range writtenFields(kind) {
			if _, ok := schema.Properties[field]; !ok {
				t.Errorf("%s.%s is written and not documented", name, field)
			}
			if len(documented) > 0 && schema.Properties[field] != nil && fmt.Sprint(enumOf(schema.Properties[field])) != fmt.Sprint(documented) {
				t.Errorf("%s.%s: documented values %v", name, field, enumOf(schema.Properties[field]))
			}
		}
	}
}

// writtenFields are the names that encoding/json gives the fields of a struct,
// with the values that the tag enum lists.
func writtenFields(t reflect.Type) map[string][]string {
	fields := map[string][]string{}
	for _, field := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		fields[name] = nil
		if values := field.Tag.Get("enum"); values != "" {
			fields[name] = strings.Split(values, ",")
		}
	}
	return fields
}

func enumOf(s *huma.Schema) []any {
	if s.Items != nil && len(s.Items.Enum) > 0 {
		return s.Items.Enum
	}
	return s.Enum
}
