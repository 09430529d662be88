package httpapi

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// finishDocument completes the document as huma writes it: every body and
// answer gets an example, composed from those of its fields, and what is no
// word of OpenAPI leaves.
func finishDocument(written []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(written, &doc); err != nil {
		return nil, err
	}
	dropPatternDescriptions(doc)
	components := doc["components"].(map[string]any)
	schemas, paths := components["schemas"].(map[string]any), doc["paths"].(map[string]any)
	explainAll(schemas, paths)
	components["examples"] = errorExamples()
	e := exampleComposer{schemas: schemas}
	for _, path := range paths {
		for _, op := range path.(map[string]any) {
			e.addTo(op.(map[string]any))
		}
	}
	return json.Marshal(doc)
}

// dropPatternDescriptions removes huma's word for what a pattern means, after
// messages to clients have been made of it.
func dropPatternDescriptions(value any) {
	switch value := value.(type) {
	case map[string]any:
		if _, isText := value["patternDescription"].(string); isText {
			delete(value, "patternDescription")
		}
		for _, member := range value {
			dropPatternDescriptions(member)
		}
	case []any:
		for _, item := range value {
			dropPatternDescriptions(item)
		}
	}
}

// errorMessages are examples of what an error says.
var errorMessages = map[int]string{
	http.StatusBadRequest:            "The request is not valid.",
	http.StatusUnauthorized:          "The access token is not valid.",
	http.StatusForbidden:             "Your role does not allow this.",
	http.StatusNotFound:              "There is no such record.",
	http.StatusConflict:              "The name is taken.",
	http.StatusPreconditionFailed:    "It has been changed meanwhile.",
	http.StatusRequestEntityTooLarge: "The body is too large.",
	http.StatusUnsupportedMediaType:  "The body must be sent as application/json in UTF-8, without compression.",
	http.StatusTooManyRequests:       "Too many requests; try again later.",
	http.StatusInternalServerError:   "Something went wrong on our side.",
	http.StatusServiceUnavailable:    "The service is not available; try again.",
}

// errorExamples are an example for each status, which the answers refer to.
func errorExamples() map[string]any {
	examples := map[string]any{}
	for status, message := range errorMessages {
		var faults any
		if status == http.StatusBadRequest {
			faults = []FieldFault{{Field: "cronPattern", Message: "is required"}}
		}
		examples["error"+strconv.Itoa(status)] = map[string]any{
			"summary": http.StatusText(status),
			"value": map[string]any{
				"success": false, "statusCode": status, "timestamp": exampleTime, "path": "/jobs/7",
				"message": message, "errors": faults, "requestId": exampleRequestID,
			},
		}
	}
	return examples
}

const (
	exampleTime      = "2026-01-31T09:30:00.000Z"
	exampleRequestID = "5f1d7a7e-3c0b-4b8e-9d7f-6f2f0e0f7a11"
)

// exampleComposer makes examples from schemas.
type exampleComposer struct{ schemas map[string]any }

const schemaPrefix = "#/components/schemas/"

// addTo gives each body and answer of an operation its example.
func (e exampleComposer) addTo(op map[string]any) {
	if body, ok := op["requestBody"].(map[string]any); ok {
		e.addToContent(body)
	}
	for status, response := range op["responses"].(map[string]any) {
		response := response.(map[string]any)
		if _, isError := errorMessages[statusNumber(status)]; isError && refersTo(response, "ErrorEnvelope") {
			response["content"].(map[string]any)[jsonType].(map[string]any)["examples"] = map[string]any{
				"error": map[string]any{"$ref": "#/components/examples/error" + status},
			}
			continue
		}
		e.addToContent(response)
	}
}

func statusNumber(status string) int {
	n, _ := strconv.Atoi(status)
	return n
}

// refersTo reports whether the JSON of a response has the named schema.
func refersTo(response map[string]any, schema string) bool {
	content, _ := response["content"].(map[string]any)
	media, _ := content[jsonType].(map[string]any)
	what, _ := media["schema"].(map[string]any)
	return what["$ref"] == schemaPrefix+schema
}

func (e exampleComposer) addToContent(owner map[string]any) {
	content, _ := owner["content"].(map[string]any)
	for _, media := range content {
		media := media.(map[string]any)
		if media["example"] != nil || media["examples"] != nil {
			continue
		}
		if schema, ok := media["schema"].(map[string]any); ok {
			media["example"] = e.of(schema)
		}
	}
}

// of is an example of what a schema describes.
func (e exampleComposer) of(schema map[string]any) any {
	if ref, ok := schema["$ref"].(string); ok {
		return e.of(e.schemas[strings.TrimPrefix(ref, schemaPrefix)].(map[string]any))
	}
	if examples, ok := schema["examples"].([]any); ok && len(examples) > 0 {
		return examples[0]
	}
	if value, ok := schema["default"]; ok {
		return value
	}
	if allowed, ok := schema["enum"].([]any); ok && len(allowed) > 0 {
		return allowed[0]
	}
	switch typeOf(schema) {
	case "object":
		object := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if name == "categoryName" && properties["categoryId"] != nil {
				continue // one of the two
			}
			object[name] = e.of(properties[name].(map[string]any))
		}
		return object
	case "array":
		return []any{e.of(schema["items"].(map[string]any))}
	case "string":
		if schema["format"] == "date-time" {
			return exampleTime
		}
		return "text"
	case "integer", "number":
		if lowest, ok := schema["minimum"]; ok {
			return lowest
		}
		return 1
	case "boolean":
		return true
	}
	return nil
}

// typeOf is the type of what a schema describes, beside null; "" where it may
// be anything. One that allows several schemas is as its first that is no null.
func typeOf(schema map[string]any) string {
	switch t := schema["type"].(type) {
	case string:
		return t
	case []any:
		for _, one := range t {
			if one != "null" {
				return one.(string)
			}
		}
	}
	return ""
}
