package schedule

import (
	"strings"
	"sync"
)

// cachedPatterns bounds the memory of the cache: a compiled pattern takes a few
// kilobytes. Jobs share few patterns, so this many cover almost all of them.
const cachedPatterns = 1024

// compiled keeps patterns that were read before, by the text as it was written.
// Compiling costs some 15 µs, and a tick reads the same few patterns for
// thousands of jobs. Only what could be read is kept, so the key is at most
// maxPatternBytes long.
var compiled = struct {
	sync.RWMutex
	patterns map[string]*pattern
}{patterns: make(map[string]*pattern)}

func cachedPattern(text string) (*pattern, error) {
	compiled.RLock()
	p, ok := compiled.patterns[text]
	compiled.RUnlock()
	if ok {
		return p, nil
	}

	p, err := parsePattern(text)
	if err != nil {
		return nil, err
	}

	compiled.Lock()
	defer compiled.Unlock()
	if len(compiled.patterns) >= cachedPatterns {
		for victim := range compiled.patterns {
			delete(compiled.patterns, victim) // any one will do
			break
		}
	}
	// The text may be a slice of a whole request body; the copy lets that go.
	compiled.patterns[strings.Clone(text)] = p
	return p, nil
}
