package executor_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
)

// BenchmarkScrub hides what calls have sent from answers of some kinds.
func BenchmarkScrub(b *testing.B) {
	const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"
	one := []string{"Bearer " + token, token}
	row := `{"id":8273,"name":"Ada Lovelace","note":"She said \"hello\" & left","url":"https://example.com/a?b=c%20d"},`
	list := bytes.Repeat([]byte(row), execution.MaxResponseBody/len(row))
	for name, tc := range map[string]struct {
		secrets []string
		body    []byte
	}{
		"none":                 {nil, list},
		"token, small answer":  {one, []byte(`{"ok":true}`)},
		"token, full answer":   {one, list},
		"token, all of it":     {one, bytes.Repeat([]byte(token), execution.MaxResponseBody/len(token))},
		"body of 200, full":    {manySecrets(200), list},
		"body of 6000, full":   {manySecrets(6000), list},
		"short, prefixes only": {[]string{"aaaaaaab"}, bytes.Repeat([]byte("a"), execution.MaxResponseBody)},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				executor.Scrub(tc.secrets, tc.body, true)
			}
		})
	}
}

// manySecrets are those of a secret body that holds as many texts.
func manySecrets(n int) []string {
	secrets := make([]string, 0, n+1)
	var whole strings.Builder
	for i := range n {
		secrets = append(secrets, fmt.Sprintf("%08x", uint32(i)*2654435761))
		fmt.Fprintf(&whole, "%q,", secrets[i])
	}
	return append(secrets, "["+strings.TrimSuffix(whole.String(), ",")+"]")
}
