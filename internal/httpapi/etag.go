package httpapi

import (
	"strconv"
	"strings"
)

// Conditional is embedded by inputs of routes that change one thing.
type Conditional struct {
	IfMatch string `header:"If-Match" maxLength:"1000" doc:"The ETag that the change is meant for, with its quotes; another version answers 412."`
}

// Versions lists the versions that If-Match names: nil where any will do, and
// empty where none can match.
func (c Conditional) Versions() []int {
	header := strings.TrimSpace(c.IfMatch)
	if header == "" || header == "*" {
		return nil
	}
	versions := []int{}
	for _, tag := range strings.Split(header, ",") {
		tag = strings.TrimSpace(tag)
		if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' {
			continue
		}
		// Atoi takes "+1" and "01" too, which are no tags of ours.
		version, err := strconv.Atoi(tag[1 : len(tag)-1])
		if err == nil && version > 0 && etag(version) == tag {
			versions = append(versions, version)
		}
	}
	return versions
}
