package templatetest_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/infra/templatetest"
)

// The saved query to which the runbook sends people finds our own lines and
// Lambda's, and nothing that went well.
func TestErrorsOfOurOwnAreFound(t *testing.T) {
	t.Parallel()
	properties := application(t).Resources["OwnErrorsQuery"].(templatetest.Object)["Properties"].(templatetest.Object)
	text := fmt.Sprint(properties["QueryString"])
	filter := regexp.MustCompile(`(?m)^filter (.*)$`).FindStringSubmatch(text)
	if filter == nil {
		t.Fatalf("no filter in %s", text)
	}
	for line, want := range map[string]bool{
		`{"time":"2026-01-31T12:00:00Z","level":"ERROR","msg":"the function cannot start","service":"cron-jobs-api","err":"DB_HOST: is required"}`: true,
		`{"level":"ERROR","msg":"panic","cause":"nil map"}`:                                                                      true,
		`{"level":"WARN","msg":"metrics were not written"}`:                                                                      true,
		`{"level":"INFO","msg":"execution","status":"failed","error":"timeout"}`:                                                 false,
		`{"environment":"dev","TickDuration":12,"_aws":{}}`:                                                                      false,
		"panic: runtime error: index out of range":                                                                               true,
		"2026-01-31T12:00:00Z 6f1c Task timed out after 55.00 seconds":                                                           true,
		`{"time":"2026-01-31T12:00:00Z","type":"platform.report","record":{"requestId":"6f1c","metrics":{},"status":"timeout"}}`: true,
		`{"type":"platform.report","record":{"requestId":"6f1c","status":"error","errorType":"Runtime.ExitError"}}`:              true,
		`{"type":"platform.initReport","record":{"status":"error","errorType":"Runtime.ExitError","phase":"init"}}`:              true,
		`{"type":"platform.runtimeDone","record":{"status":"failure"}}`:                                                          true,
		`{"type":"platform.report","record":{"requestId":"6f1c","status":"success"}}`:                                            false,
		`{"type":"platform.start","record":{"requestId":"6f1c","version":"7"}}`:                                                  false,
		`{"level":"INFO","msg":"request","type":"other","record":{"status":"error"}}`:                                            false,
	} {
		p := parser{tokens: tokens.FindAllString(filter[1], -1), line: line}
		_ = json.Unmarshal([]byte(line), &p.members) // one that is no JSON has no fields
		if got := p.either(); got != want || len(p.tokens) > 0 || p.fault != "" {
			t.Errorf("found %t, want %t: %s (left of the filter: %q, %s)", got, want, line, p.tokens, p.fault)
		}
	}
}

// parser evaluates as much of a filter of Logs Insights as the query needs: or,
// and, parentheses, and comparisons of a field, which is false where there is none.
type parser struct {
	tokens  []string
	line    string
	members map[string]any
	fault   string
}

var tokens = regexp.MustCompile(`"[^"]*"|/(?:[^/\\]|\\.)*/|[()\[\],=]|[^\s()\[\],="/]+`)

func (p *parser) next() string {
	if len(p.tokens) == 0 {
		p.fault = "it ends too soon"
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *parser) at(token string) bool { return len(p.tokens) > 0 && p.tokens[0] == token }

func (p *parser) either() bool {
	result := p.both()
	for p.at("or") {
		p.next()
		other := p.both()
		result = result || other
	}
	return result
}

func (p *parser) both() bool {
	result := p.one()
	for p.at("and") {
		p.next()
		other := p.one()
		result = result && other
	}
	return result
}

func (p *parser) one() bool {
	if p.at("(") {
		p.next()
		result := p.either()
		if p.next() != ")" {
			p.fault = "no parenthesis at its end"
		}
		return result
	}
	value, known := p.field(p.next())
	switch operator := p.next(); operator {
	case "=":
		text := p.next()
		return known && text == `"`+value+`"`
	case "like":
		pattern := p.next()
		return known && regexp.MustCompile(strings.Trim(pattern, "/")).MatchString(value)
	case "in":
		found := false
		for token := p.next(); token != "]" && p.fault == ""; token = p.next() {
			found = found || token == `"`+value+`"`
		}
		return known && found
	default:
		p.fault = "an operator unknown here: " + operator
		return false
	}
}

func (p *parser) field(name string) (string, bool) {
	if name == "@message" {
		return p.line, true
	}
	var value any = p.members
	for part := range strings.SplitSeq(name, ".") {
		object, _ := value.(map[string]any)
		value = object[part]
	}
	return fmt.Sprint(value), value != nil
}
