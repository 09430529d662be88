// Package templatetest holds the two stacks to the rules that no linter knows:
// how timeouts, retries and concurrency must agree with each other, with the
// database's size and with the programs that run there. It reads the templates
// and samconfig.toml as they are; it knows nothing of the product's domain.
package templatetest

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Object is a mapping of a template.
type Object = map[string]any

// Template is a stack's template, with the short forms of functions (!Ref)
// written out ({Ref: …}).
type Template struct {
	Parameters Object
	Conditions Object
	Globals    Object
	Resources  Object
	Outputs    Object
	Metadata   Object
}

// Load reads a template.
func Load(path string) (*Template, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("templatetest: %w", err)
	}
	return Decode(text)
}

// Decode reads a template from its text.
func Decode(text []byte) (*Template, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return nil, fmt.Errorf("templatetest: %w", err)
	}
	if len(document.Content) != 1 {
		return nil, fmt.Errorf("templatetest: the template is empty")
	}
	value, err := plain(document.Content[0])
	if err != nil {
		return nil, err
	}
	root, ok := value.(Object)
	if !ok {
		return nil, fmt.Errorf("templatetest: the template is no mapping")
	}
	section := func(name string) Object {
		found, _ := root[name].(Object)
		return found
	}
	return &Template{
		Parameters: section("Parameters"), Conditions: section("Conditions"), Globals: section("Globals"),
		Resources: section("Resources"), Outputs: section("Outputs"), Metadata: section("Metadata"),
	}, nil
}

// plain turns a node into maps, slices and scalars.
func plain(node *yaml.Node) (any, error) {
	if function, ok := strings.CutPrefix(node.Tag, "!"); ok && !strings.HasPrefix(function, "!") {
		argument := *node
		argument.Tag = ""
		value, err := plain(&argument)
		if err != nil {
			return nil, err
		}
		switch function {
		case "Ref", "Condition":
		default:
			function = "Fn::" + function
		}
		return Object{function: value}, nil
	}
	switch node.Kind {
	case yaml.MappingNode:
		object := Object{}
		for i := 0; i < len(node.Content); i += 2 {
			value, err := plain(node.Content[i+1])
			if err != nil {
				return nil, err
			}
			object[node.Content[i].Value] = value
		}
		return object, nil
	case yaml.SequenceNode:
		list := make([]any, 0, len(node.Content))
		for _, item := range node.Content {
			value, err := plain(item)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		return list, nil
	case yaml.AliasNode:
		return plain(node.Alias)
	default:
		var value any
		if err := node.Decode(&value); err != nil {
			return nil, fmt.Errorf("templatetest: line %d: %w", node.Line, err)
		}
		return value, nil
	}
}

// noValue is what AWS::NoValue becomes; it removes the property it is given to.
type noValue struct{}

// Resolve evaluates parameters and conditions as a deployment with these
// parameter values would. What only a deployment can know stays as it is: the
// reference to a resource, the text of an Fn::Sub.
func (t *Template) Resolve(values map[string]string) (*Template, error) {
	evaluation := resolver{t, values}
	for name := range values {
		if _, ok := t.Parameters[name]; !ok {
			return nil, fmt.Errorf("templatetest: no parameter %s", name)
		}
	}
	resolved := &Template{Parameters: t.Parameters, Conditions: t.Conditions, Metadata: t.Metadata}
	for _, part := range []struct {
		from Object
		to   *Object
	}{{t.Globals, &resolved.Globals}, {t.Resources, &resolved.Resources}, {t.Outputs, &resolved.Outputs}} {
		value, err := evaluation.value(part.from)
		if err != nil {
			return nil, err
		}
		*part.to = value.(Object)
	}
	// A resource whose condition does not hold is not there.
	for id, resource := range resolved.Resources {
		condition, ok := at(resource, "Condition").(string)
		if !ok {
			continue
		}
		holds, err := evaluation.condition(Object{"Condition": condition})
		if err != nil {
			return nil, err
		}
		if !holds {
			delete(resolved.Resources, id)
		}
	}
	return resolved, nil
}

type resolver struct {
	template *Template
	values   map[string]string
}

func (r resolver) value(v any) (any, error) {
	switch v := v.(type) {
	case Object:
		if name, ok := v["Ref"].(string); ok && len(v) == 1 {
			return r.ref(name), nil
		}
		if branches, ok := v["Fn::If"].([]any); ok && len(v) == 1 && len(branches) == 3 {
			holds, err := r.condition(Object{"Condition": branches[0]})
			if err != nil {
				return nil, err
			}
			if holds {
				return r.value(branches[1])
			}
			return r.value(branches[2])
		}
		object := Object{}
		for key, item := range v {
			resolved, err := r.value(item)
			if err != nil {
				return nil, err
			}
			if _, removed := resolved.(noValue); !removed {
				object[key] = resolved
			}
		}
		return object, nil
	case []any:
		var list []any
		for _, item := range v {
			resolved, err := r.value(item)
			if err != nil {
				return nil, err
			}
			if _, removed := resolved.(noValue); !removed {
				list = append(list, resolved)
			}
		}
		return list, nil
	default:
		return v, nil
	}
}

func (r resolver) ref(name string) any {
	if name == "AWS::NoValue" {
		return noValue{}
	}
	declared, isParameter := r.template.Parameters[name]
	if !isParameter {
		return Object{"Ref": name}
	}
	value := at(declared, "Default")
	if given, ok := r.values[name]; ok {
		value = given
	}
	if kind, _ := at(declared, "Type").(string); kind == "Number" {
		if number, err := strconv.Atoi(fmt.Sprint(value)); err == nil {
			return number
		}
	}
	return value
}

func (r resolver) condition(c any) (bool, error) {
	object, _ := c.(Object)
	for function, argument := range object {
		switch function {
		case "Condition":
			named, ok := r.template.Conditions[fmt.Sprint(argument)]
			if !ok {
				return false, fmt.Errorf("templatetest: no condition %v", argument)
			}
			return r.condition(named)
		case "Fn::Equals", "Fn::Not", "Fn::Or", "Fn::And":
			arguments, ok := argument.([]any)
			if !ok || len(arguments) == 0 {
				return false, fmt.Errorf("templatetest: %s takes a list", function)
			}
			return r.combine(function, arguments)
		}
	}
	return false, fmt.Errorf("templatetest: not a condition: %v", c)
}

func (r resolver) combine(function string, arguments []any) (bool, error) {
	if function == "Fn::Equals" {
		var sides []string
		for _, argument := range arguments {
			value, err := r.value(argument)
			if err != nil {
				return false, err
			}
			sides = append(sides, fmt.Sprint(value))
		}
		return sides[0] == sides[len(sides)-1], nil
	}
	var held []bool
	for _, argument := range arguments {
		holds, err := r.condition(argument)
		if err != nil {
			return false, err
		}
		held = append(held, holds)
	}
	switch function {
	case "Fn::Not":
		return !held[0], nil
	case "Fn::Or":
		return slices.Contains(held, true), nil
	default:
		return !slices.Contains(held, false), nil
	}
}

// at walks mappings by their keys; nil where there is nothing.
func at(value any, path ...string) any {
	for _, key := range path {
		object, ok := value.(Object)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

// number is at as a whole number.
func number(value any, path ...string) (int, bool) {
	n, err := strconv.Atoi(fmt.Sprint(at(value, path...)))
	return n, err == nil
}

// ofType lists the logical ids of the resources of a type, in order.
func (t *Template) ofType(kind string) []string {
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if at(t.Resources, id, "Type") == kind {
			ids = append(ids, id)
		}
	}
	return ids
}

// property is a function's property, or the one that Globals gives it.
func (t *Template) property(function string, path ...string) any {
	if value := at(t.Resources, append([]string{function, "Properties"}, path...)...); value != nil {
		return value
	}
	return at(t.Globals, append([]string{"Function"}, path...)...)
}

// target is the logical id that a reference or an Fn::GetAtt names.
func target(reference any) string {
	if id, ok := at(reference, "Ref").(string); ok {
		return id
	}
	switch attribute := at(reference, "Fn::GetAtt").(type) {
	case string:
		id, _, _ := strings.Cut(attribute, ".")
		return id
	case []any:
		return fmt.Sprint(attribute[0])
	}
	return ""
}
