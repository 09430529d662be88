package templatetest

import (
	"fmt"
	"slices"
	"strings"
)

// Grants lists what a template's roles and policies allow, a line for each action
// on each resource, and who may take on which role. The template is taken as
// written: parameters stand by their names. Denials are not listed.
func Grants(t *Template) []string {
	var lines []string
	allowed := func(id string, document any) {
		statements, _ := at(document, "Statement").([]any)
		for _, statement := range statements {
			if at(statement, "Effect") != "Allow" {
				continue
			}
			for _, action := range list(at(statement, "Action")) {
				for _, resource := range list(at(statement, "Resource")) {
					lines = append(lines, fmt.Sprintf("%s: %v on %s", id, action, written(resource)))
				}
			}
		}
	}
	for _, id := range t.ofType("AWS::IAM::Role") {
		properties := at(t.Resources, id, "Properties")
		trust, _ := at(properties, "AssumeRolePolicyDocument", "Statement").([]any)
		for _, statement := range trust {
			lines = append(lines, fmt.Sprintf("%s: assumed by %v", id, at(statement, "Principal", "Service")))
		}
		managed, _ := at(properties, "ManagedPolicyArns").([]any)
		for _, policy := range managed {
			lines = append(lines, fmt.Sprintf("%s: %s", id, written(policy)))
		}
		policies, _ := at(properties, "Policies").([]any)
		for _, policy := range policies {
			allowed(id, at(policy, "PolicyDocument"))
		}
	}
	for _, kind := range []string{"AWS::IAM::ManagedPolicy", "AWS::IAM::Policy"} {
		for _, id := range t.ofType(kind) {
			allowed(id, at(t.Resources, id, "Properties", "PolicyDocument"))
		}
	}
	slices.Sort(lines)
	return lines
}

// written is a value as a person would write it: a reference by its name.
func written(resource any) string {
	if name, ok := at(resource, "Ref").(string); ok {
		return name
	}
	if text, ok := at(resource, "Fn::Sub").(string); ok {
		return text
	}
	switch attribute := at(resource, "Fn::GetAtt").(type) {
	case string:
		return attribute
	case []any:
		parts := make([]string, len(attribute))
		for i, part := range attribute {
			parts[i] = fmt.Sprint(part)
		}
		return strings.Join(parts, ".")
	}
	return fmt.Sprint(resource)
}
