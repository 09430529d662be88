package samlocal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The exit code of a build tells not what was built.
func TestArtefacts(t *testing.T) {
	ready(t)
	processors := map[string]string{"x86_64": "GOARCH=amd64", "arm64": "GOARCH=arm64"}
	functions := map[string][]string{"app": {"ApiFunction", "TickFunction", "ExecutorFunction"}, "data": {"MigrateFunction"}}
	for architecture, goarch := range processors {
		for stack, ids := range functions {
			for _, id := range ids {
				directory := filepath.Join(filepath.Dir(built(architecture, stack)), id)
				out, err := exec.CommandContext(t.Context(), "go", "version", "-m", filepath.Join(directory, "bootstrap")).CombinedOutput()
				if err != nil {
					t.Errorf("%s: %v: %s", directory, err, out)
					continue
				}
				for _, want := range []string{goarch, "CGO_ENABLED=0", "-tags=lambda.norpc", "-trimpath=true"} {
					if !strings.Contains(string(out), want) {
						t.Errorf("%s was not built with %s", directory, want)
					}
				}
				if files, err := os.ReadDir(directory); err != nil || len(files) != 1 {
					t.Errorf("%s holds %d files, not bootstrap alone (%v)", directory, len(files), err)
				}
			}
		}
	}
}

// A failure must not pass for an answer, whatever `sam local` makes of it.
func TestFailuresAreUnderstood(t *testing.T) {
	t.Parallel()
	for name, out := range map[string]string{
		"nothing":          "",
		"a timeout":        "\n\n",
		"an error":         `{"errorMessage":"no such table","errorType":"errorString"}`,
		"an exit":          `{"errorType":"Runtime.ExitError","errorMessage":"RequestId: 1 Error: Runtime exited"}`,
		"a log line alone": "START RequestId: 1",
	} {
		var answer any
		if err := understand([]byte(out), &answer); err == nil {
			t.Errorf("%s is taken for the answer %v", name, answer)
		}
	}
	var answer migrated
	if err := understand([]byte("a line of log\n{\"version\":3}\n"), &answer); err != nil || answer.Version != 3 {
		t.Errorf("an answer is not understood: %v, %+v", err, answer)
	}
}
