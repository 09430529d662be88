package job

import (
	"strings"
	"testing"
)

func TestCopyName(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		n    int
		want string
	}{
		{"Report", 1, "Report copy"},
		{"Report", 2, "Report copy 2"},
		{"Report copy", 1, "Report copy copy"},
		{strings.Repeat("a", 95), 1, strings.Repeat("a", 95) + " copy"},
		{strings.Repeat("a", 96), 1, strings.Repeat("a", 95) + " copy"},
		{strings.Repeat("a", 100), 10, strings.Repeat("a", 92) + " copy 10"},
		{strings.Repeat("a", 94) + " bcdef", 1, strings.Repeat("a", 94) + " copy"},
	} {
		if got := CopyName(tc.name, tc.n); got != tc.want || len(got) > maxName {
			t.Errorf("copy %d of %q: %q, want %q", tc.n, tc.name, got, tc.want)
		}
	}
}
