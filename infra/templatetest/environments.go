package templatetest

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

var (
	sectionLine = regexp.MustCompile(`^\[([\w-]+)\.global\.parameters\]$`)
	stringItem  = regexp.MustCompile(`"([^"=]+)=([^"]*)"`)
)

// Environments reads the parameter values that a samconfig.toml gives to each
// environment. It understands the one form that file uses: an environment's
// parameter_overrides is a list of "Name=value" under [<name>.global.parameters].
func Environments(path string) (map[string]map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("templatetest: %w", err)
	}
	environments := map[string]map[string]string{}
	var current string
	inList := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			continue
		case strings.HasPrefix(line, "["):
			current, inList = "", false
			if section := sectionLine.FindStringSubmatch(line); section != nil {
				current = section[1]
			}
		case strings.HasPrefix(line, "parameter_overrides"):
			if current == "" || !strings.HasSuffix(line, "[") {
				return nil, fmt.Errorf("templatetest: %s: parameter_overrides must be a list, a line each, of [<environment>.global.parameters]", path)
			}
			environments[current] = map[string]string{}
			inList = true
		case inList && line == "]":
			inList = false
		case inList:
			item := stringItem.FindStringSubmatch(line)
			if item == nil {
				return nil, fmt.Errorf("templatetest: %s: not a \"Name=value\": %s", path, line)
			}
			environments[current][item[1]] = item[2]
		}
	}
	return environments, nil
}
