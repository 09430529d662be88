package executor_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
)

// TestScrubbingIsBounded makes secrets and answers for each other, so that looking
// for those in these takes as long as can be.
func TestScrubbingIsBounded(t *testing.T) {
	t.Parallel()
	const size = 16 << 10
	fill := func(piece string) []byte { return []byte(strings.Repeat(piece, size/len(piece))) }
	// 200 beginnings that differ in their second byte, and fall back on each other.
	var comb []string
	for i := range 200 {
		comb = append(comb, "a"+string([]byte{byte(i + 32)})+strings.Repeat("a", 60))
	}
	// All that a text of a's with escapes can be read as.
	var readings []string
	for i := range 200 {
		var one strings.Builder
		for bit := range 8 {
			one.WriteString([]string{"a", "%61"}[i>>bit&1])
		}
		readings = append(readings, one.String())
	}
	deep := "a"
	for range 6 {
		deep = "%25" + strings.TrimPrefix(url.QueryEscape(deep), "%25")
	}
	for secrets, list := range map[string][]string{
		"a token": {"hunter2hunter2"}, "of one letter": {strings.Repeat("a", 5000) + "b"}, "a comb": comb, "readings": readings,
		"escapes": {strings.Repeat("%61", 500) + "b"}, "backslashes": {strings.Repeat(`\`, 300) + "b"}, "most": manySecrets(200), "random": {strings.Repeat("abcdefghijklmnopq", 3000)},
	} {
		for name, text := range map[string][]byte{
			"a letter": fill("a"), "two letters": fill("ab"), "escaped letters": fill("%61"), "half escaped": fill("a%61"), "percent signs": fill("%"), "backslashes": fill(`\`),
			"ampersands": fill("&"), "open entities": fill("&#97"), "entities": fill("&#97;"), "entities of entities": fill("&amp;#97;"), "deep escapes": fill(deep), "braces": fill(`\u{61}`),
			"halves": fill(`\ud83d`), "hexadecimal": fill("61"), "base64": fill("YWFh"), "escaped base64": fill(`%59W`), "nothing": fill("\x00"), "line breaks": fill("a\n\n\n"),
			"all kinds": fill(`a%61\x61&#97;\u0061`), "quotes": fill(`{"a":"b\"c"},`),
		} {
			work, most := executor.WorkOfScrub(list, text)
			// A single step may go beyond it.
			if work > most+most/20 {
				t.Errorf("%s in %s: %d steps, of %d", secrets, name, work, most)
			}
			half, _ := executor.WorkOfScrub(list, text[:len(text)/2])
			if work > 3*half+1<<12 {
				t.Errorf("%s in %s: %d steps, and %d for half of it", secrets, name, work, half)
			}
		}
	}
	// What does not hold more than answers do takes no more than a small part of it.
	if work, _ := executor.WorkOfScrub([]string{"Bearer hunter2hunter2", "hunter2hunter2"}, fill(`{"id":8273,"name":"Ada","note":"She said \"hello\"","url":"https://example.com/a?b=c%20d"},`)); work > 6*size {
		t.Errorf("an ordinary answer takes %d steps", work)
	}
}

// TestTooManySecretsHideTheWholeAnswer sends bodies of many strings.
func TestTooManySecretsHideTheWholeAnswer(t *testing.T) {
	t.Parallel()
	target := listen(t, answering(ok, "X-Any: any\r\nContent-Length: 5\r\n\r\nplain"))
	attempt := call(t, newClient(t), work("http://"+target.addr+"/", secretBody(manySecrets(6000)[6000])))
	expect(t, attempt, "", 200, false)
	if got := string(attempt.Response.Body); !strings.HasPrefix(got, job.Mask+" The whole answer is hidden: ") {
		t.Errorf("the body is %q", got)
	}
	for name, values := range attempt.Response.Headers {
		if fmt.Sprint(values) != "["+job.Mask+"]" {
			t.Errorf("%s: %q", name, values)
		}
	}
	if got := string(executor.Scrub(manySecrets(200), []byte("plain"), false)); got != "plain" {
		t.Errorf("with 200 it is %q", got)
	}
	if got := string(executor.Scrub([]string{strings.Repeat("x", 200<<10)}, []byte("plain"), false)); !strings.HasPrefix(got, job.Mask) {
		t.Errorf("with one of 200 KiB it is %q", got)
	}
}

// TestAnEndlessSearchHidesTheWholeAnswer ends a search that was made to last.
func TestAnEndlessSearchHidesTheWholeAnswer(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("&", execution.MaxResponseBody)
	if got := string(executor.Scrub([]string{"&&&&&&&&b"}, []byte(text), false)); got != text && !strings.HasPrefix(got, job.Mask+" The whole answer is hidden: looking for") {
		t.Errorf("%.200q is kept", got)
	}
}
