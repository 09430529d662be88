package simulation

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// tracedSteps is how many of the last steps are shown.
const tracedSteps = 120

// trace keeps the last steps.
type trace struct {
	mu    sync.Mutex
	lines []string
}

func (t *trace) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines) >= 2*tracedSteps {
		t.lines = slices.Delete(t.lines, 0, len(t.lines)-tracedSteps)
	}
	t.lines = append(t.lines, line)
}

func (t *trace) String() string {
	return strings.Join(t.lines[max(len(t.lines)-tracedSteps, 0):], "\n")
}

// note writes a line of the trace.
func (s *simulation) note(format string, args ...any) {
	line := fmt.Sprintf("%5d %s ", s.step, time.Now().UTC().Format("15:04:05.000")) + fmt.Sprintf(format, args...)
	if s.opts.Trace != nil {
		fmt.Fprintln(s.opts.Trace, line)
	}
	s.trace.add(line)
}

// find notes something that the protocol forbids.
func (s *simulation) find(invariant, format string, args ...any) {
	finding := invariant + ": " + fmt.Sprintf(format, args...)
	s.findings = append(s.findings, finding)
	s.note("*** %s", finding)
}
