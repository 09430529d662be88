package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/cronjobs/cronjobs/internal/account"
)

// bodyLimits are the routes that take more than 64 KiB.
var bodyLimits = map[string]int{
	"POST /jobs": 1 << 20, "PUT /jobs/{id}": 1 << 20, "PATCH /jobs/{id}": 1 << 20, "POST /jobs/import": 4 << 20,
}

// TestBodiesAreSmall sends each route of the table one byte too many. It is
// refused before anything is made of it, or, on a GET, not read.
func TestBodiesAreSmall(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, nil)
	h := tr.handler()
	var document struct {
		Paths map[string]map[string]struct {
			RequestBody struct{ Description string }
		}
	}
	if err := json.Unmarshal([]byte(send(t, h, "GET", "/api/docs-json", "").raw), &document); err != nil {
		t.Fatal(err)
	}
	for _, a := range tr.accesses {
		if a.Method == http.MethodGet {
			continue
		}
		most, said := 64<<10, "At most 64 KiB."
		if more := bodyLimits[a.Method+" "+a.Path]; more != 0 {
			most, said = more, fmt.Sprintf("At most %d MiB.", more>>20)
		}
		path := strings.NewReplacer("{id}", "7", "{name}", "NAME").Replace(a.Path)
		body := `{"x":"` + strings.Repeat("x", most)
		if got := send(t, h, a.Method, path, body[:most+1], "Authorization", as(account.Admin)); got.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("%s %s: %d to %d bytes", a.Method, a.Path, got.StatusCode, most+1)
		}
		if got := send(t, h, a.Method, path, body[:most], "Authorization", as(account.Admin)); got.StatusCode != http.StatusBadRequest {
			t.Errorf("%s %s: %d to %d bytes", a.Method, a.Path, got.StatusCode, most)
		}
		documented := document.Paths[a.Path][strings.ToLower(a.Method)].RequestBody.Description
		if documented != said && documented != "" && documented != nothing.Description {
			t.Errorf("%s %s: the document says %q", a.Method, a.Path, documented)
		}
		if more := bodyLimits[a.Method+" "+a.Path]; more != 0 && documented != said {
			t.Errorf("%s %s: the document says %q", a.Method, a.Path, documented)
		}
	}
	if got := document.Paths["/auth/login"]["post"].RequestBody.Description; got != "At most 64 KiB." {
		t.Errorf("of a sign-in the document says %q", got)
	}
}

// TestHostileBodiesCostLittle measures what is claimed, all in all, to refuse a
// body of 1 MiB that consists of as many values as it can. It is not parallel:
// others would be measured too.
func TestHostileBodiesCostLittle(t *testing.T) { //nolint:paralleltest // see above
	tr := newTrial(t, nil)
	route(tr.server, "PUT", "/things/{id}", operator, "jobs", "Change a thing",
		func(context.Context, *thingInput) (One[thingView], error) { return One[thingView]{}, nil }, takesJob)
	h := tr.handler()
	fill := func(before, part, after string) string {
		return before + strings.Repeat(part, (1<<20-len(before)-len(after)-2)/len(part)) + after
	}
	keys := func(before, after string) string {
		var b strings.Builder
		b.WriteString(before)
		for i := 0; b.Len() < 1<<20-20; i++ {
			fmt.Fprintf(&b, `"%x":0,`, i)
		}
		return b.String() + `"z":0` + after
	}
	for name, test := range map[string]struct {
		body   string
		status int
	}{
		"nested":                      {strings.Repeat("[", 1<<20), 400},
		"numbers for a text":          {fill(`{"name":[`, "0,", `0]}`), 400},
		"numbers for ids":             {fill(`{"name":"abc","ids":[`, "1,", `1]}`), 400},
		"things":                      {fill(`{"name":"abc","children":[`, "{},", `{}]}`), 400},
		"numbers for a whole":         {fill(`[`, "0,", `0]`), 400},
		"unknown fields":              {keys(`{`, `}`), 400},
		"fields of an unknown one":    {keys(`{"name":"abc","x":{`, `}}`), 400},
		"entries of a map":            {keys(`{"name":"abc","headers":{`, `}}`), 400},
		"one field over and over":     {fill(`{"name":"abc"`, `,"name":0`, `}`), 400},
		"what is kept as it is":       {fill(`{"name":"abc","payload":[`, "0,", `0]}`), 200},
		"escapes":                     {fill(`{"name":"`, `\n`, `"}`), 400},
		"nothing but space, and then": {fill(`{"name":"abc"`, " ", `}`), 200},
	} {
		measure := func() uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			got := send(t, h, "PUT", "/things/1", test.body, "Authorization", as(account.Operator))
			runtime.ReadMemStats(&after)
			if got.StatusCode != test.status {
				t.Errorf("%s: %d %.300s", name, got.StatusCode, got.raw)
			}
			return after.TotalAlloc - before.TotalAlloc
		}
		measure() // what is made once
		const most = 8 << 20
		if claimed := measure(); claimed > most {
			t.Errorf("%s: %d KiB are claimed for a body of %d KiB", name, claimed>>10, len(test.body)>>10)
		} else {
			t.Logf("%s: %d KiB", name, claimed>>10)
		}
	}
}
