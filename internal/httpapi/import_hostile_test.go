package httpapi

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHostileImports(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	text, object := []string{"Content-Type", "text/plain"}, []string{"Content-Type", "application/json"}
	mega := strings.Repeat("x", 1<<20)
	line := "* * * * * curl "
	tests := []struct {
		name, body string
		headers    []string
		status     int
		fields     []string // nil: any, up to a hundred
	}{
		{"name of a megabyte", jobsOf(named(mega, "Reports")), object, 400, []string{"jobs[0]"}},
		{"name of 400 kB", jobsOf(named(mega[:400_000], "Reports")), object, 400, []string{"jobs[0].name"}},
		{"category of 400 kB", jobsOf(named("A", mega[:400_000])), object, 400, []string{"jobs[0].categoryName"}},
		{"field with a name of 400 kB", jobsOf(named("A", "Reports", `"`+mega[:400_000]+`":1`)), object, 400, []string{"jobs[0]." + mega[:100] + "…"}},
		{"member with a name of a megabyte", `{"` + mega + `":1}`, object, 400, []string{"jobs", mega[:100] + "…"}},
		{"100,000 jobs", `{"jobs":[` + strings.TrimSuffix(strings.Repeat("{},", 100_000), ",") + `]}`, object, 400, []string{"jobs"}},
		{"1,001 jobs", many(1001, "Reports"), object, 400, []string{"jobs"}},
		{"1,000 jobs with all at fault", `{"jobs":[` + strings.TrimSuffix(strings.Repeat("{},", 1000), ",") + `]}`, object, 400, nil},
		{"half a million unknown fields", `{"jobs":[{` + strings.TrimSuffix(strings.Repeat(`"a":1,`, 80_000), ",") + `}]}`, object, 400, nil},
		{"two million numbers", `{"jobs":[` + strings.TrimSuffix(strings.Repeat("1,", 1_900_000), ",") + `]}`, object, 400, []string{"jobs"}},
		{"two million numbers in a body", jobsOf(named("A", "Reports", `"body":[`+strings.TrimSuffix(strings.Repeat("1,", 1_900_000), ",")+`]`)), object, 400, []string{"jobs[0]"}},
		{"nested deep", strings.Repeat("[", 2_000_000), object, 400, []string{""}},
		{"nested deep in a job", jobsOf(named("A", "Reports", `"body":`+strings.Repeat("[", 101)+strings.Repeat("]", 101))), object, 400, []string{"jobs[0]"}},
		{"nested a little too deep in a job", jobsOf(named("A", "Reports", `"body":`+strings.Repeat("[", 100)+strings.Repeat("]", 100))), object, 400, []string{"jobs[0]"}},
		{"NUL in a name", jobsOf(named("A", "Reports", `"method":"GE\u0000T"`), strings.Replace(named("B", "Reports"), `"B"`, `"B\u0000"`, 1)), object, 400, []string{"jobs[0].method", "jobs[1].name"}},
		{"NUL in a category", jobsOf(strings.Replace(named("A", "Reports"), "Reports", `Rep\u0000orts`, 1)), object, 400, []string{"jobs[0].categoryName"}},
		{"a bare NUL", "{\"jobs\":[\x00]}", object, 400, []string{""}},
		{"invalid UTF-8", "{\"jobs\":[\"\xff\"]}", object, 400, []string{""}},
		{"invalid UTF-8 in a crontab", line + "https://example.com/\xff", text, 400, []string{""}},
		{"half a surrogate pair", jobsOf(strings.Replace(named("A", "Reports"), "Reports", `\ud800`, 1)), object, 400, []string{"jobs[0].categoryName"}},
		{"more than 4 MiB", `{"jobs":[]}` + strings.Repeat(" ", 4<<20), object, 413, []string{}},
		{"just 4 MiB", `{"jobs":[]}` + strings.Repeat(" ", 4<<20-11), object, 201, []string{}},
		{"a million short lines", strings.Repeat("x\n", 1_900_000), text, 400, []string{"line 1001"}},
		{"a million variables", strings.Repeat("A=\n", 1_300_000) + line + "https://example.com/", text, 201, []string{}},
		{"a million time zones", strings.Repeat("TZ=x\n", 800_000), text, 400, nil},
		{"one line of 4 MB", line + strings.Repeat("-d a ", 800_000), text, 400, []string{"line 1"}},
		{"open brackets", line + strings.Repeat("$(", 100_000), text, 400, []string{"line 1.command", "line 1.url"}},
		{"a command of unknown options", line + strings.Repeat("-Z ", 80_000), text, 400, nil},
		{"NUL in a crontab", line + "https://example.com/\x00", text, 400, []string{"line 1.command", "line 1.url"}},
		{"a line's end in a header", line + `-H $'A: b\r\nC: d' https://example.com/`, text, 400, []string{"line 1.headers.A"}},
		{"name of a megabyte in a crontab", "# name: " + mega[:200_000] + "\n" + line + "https://example.com/", text, 400, []string{"line 2.name"}},
	}
	for _, test := range tests {
		got := d.call("POST", "/jobs/import?categoryId="+category+"&onConflict=update", test.body, test.headers...)
		fields := got.fields()
		if got.StatusCode != test.status || len(got.raw) > 100_000 || len(fields) > 100 {
			t.Errorf("%s: %d with %d bytes and %d faults: %.300s", test.name, got.StatusCode, len(got.raw), len(fields), got.raw)
		}
		if test.fields != nil && !cmp.Equal(append([]string{}, test.fields...), append([]string{}, dedupe(fields)...)) {
			t.Errorf("%s: %.300s", test.name, got.raw)
		}
	}
	if n := d.total(); n != 1 { // that of the crontab of variables
		t.Errorf("%v jobs", n)
	}
}

// dedupe leaves each field once, in order.
func dedupe(fields []string) []string {
	var once []string
	seen := map[string]bool{}
	for _, f := range sortedStrings(fields) {
		if !seen[f] {
			once = append(once, f)
		}
		seen[f] = true
	}
	return once
}

// A body that is small on the wire and large in memory is not unpacked.
func TestImportTakesNoCompression(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	for range 64 {
		_, _ = packed.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	_ = packed.Close()
	for _, coding := range []string{"gzip", "GZIP", "br", "deflate", "gzip, gzip"} {
		d.want(415, "POST", "/jobs/import", bomb.String(), "Content-Encoding", coding)
	}
	d.want(400, "POST", "/jobs/import", bomb.String())
}

// What an import needs of memory is bounded by its bytes, whatever they say.
func TestImportsMemoryIsBounded(t *testing.T) {
	d := newDesk(t)
	d.category("Reports")
	for name, body := range map[string]string{
		"numbers": jobsOf(named("A", "Reports", `"body":[`+strings.TrimSuffix(strings.Repeat("1,", 1_900_000), ",")+`]`)),
		"objects": `{"jobs":[` + strings.TrimSuffix(strings.Repeat("{},", 1_300_000), ",") + `]}`,
		"members": `{"jobs":[{` + strings.TrimSuffix(strings.Repeat(`"":{},`, 600_000), ",") + `}]}`,
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		req := httptest.NewRequest("POST", "/jobs/import", strings.NewReader(body))
		req.Header.Set("Authorization", as(operator))
		rec := httptest.NewRecorder()
		d.h.ServeHTTP(rec, req)
		runtime.ReadMemStats(&after)
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; rec.Code != 400 || used > 100 {
			t.Errorf("%s: %d, %d MiB allocated for %d", name, rec.Code, used, len(body)>>20)
		}
	}
}

func TestAllThatIsExportedCanBeImported(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	category := d.category("Reports")
	deep := strings.Repeat("[", 99) + strings.Repeat("]", 99)
	for i, members := range [][]string{
		{`"body":` + deep},
		{`"body":"` + strings.Repeat(`\u0001`, 10_900) + `"`},
		{`"headers":{"X-A":"` + strings.Repeat(`\"`, 16_000) + `"}`},
		{`"headers":{"X-A":"********"}`, `"secretHeaders":["X-A"]`},
	} {
		got := d.call("POST", "/jobs", jobJSON(fmt.Sprintf("Job %d", i), category, members...))
		if want := map[bool]int{true: 400, false: 201}[i == 3]; got.StatusCode != want {
			t.Fatalf("%d: %d %.300s", i, got.StatusCode, got.raw)
		}
	}
	file := d.exported("")
	other := newDesk(t)
	other.want(201, "POST", "/jobs/import?createCategories=true", file)
	if again := other.exported(""); again != file {
		t.Error("the second export is another")
	}
}
