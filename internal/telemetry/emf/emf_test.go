package emf_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/telemetry/emf"
)

var now = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

const good = `{"environment":"dev","lane":"fast","id":7,"Took":[1,2.5],"Done":3,"_aws":{"Timestamp":1769860800000,"CloudWatchMetrics":[` +
	`{"Namespace":"Some","Dimensions":[["environment","lane"]],"Metrics":[{"Name":"Took","Unit":"Milliseconds"}]},` +
	`{"Namespace":"Some","Dimensions":[["environment"]],"Metrics":[{"Name":"Done","Unit":"Count"}]}]}}`

func TestRead(t *testing.T) {
	t.Parallel()
	got, err := emf.Read([]byte(good+"\n"), now)
	if err != nil {
		t.Fatal(err)
	}
	want := []emf.Value{
		{Namespace: "Some", Name: "Took", Unit: "Milliseconds", Dimensions: map[string]string{"environment": "dev", "lane": "fast"}, Amounts: []float64{1, 2.5}},
		{Namespace: "Some", Name: "Done", Unit: "Count", Dimensions: map[string]string{"environment": "dev"}, Amounts: []float64{3}},
	}
	if diff := cmp.Diff(want, got.Values); diff != "" || !got.At.Equal(now) || got.Members["id"] != 7.0 {
		t.Errorf("at %s, members %v, values (-want +got):\n%s", got.At, got.Members, diff)
	}
	if name := got.Values[0].String(); name != "Took,environment=dev,lane=fast" {
		t.Errorf("its name is %s", name)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ old, new, fault string }{
		"seconds":                 {"1769860800000", "1769860800", "not in milliseconds?"},
		"of another day":          {"1769860800000", "1779860800000", "not in milliseconds?"},
		"no time":                 {`"Timestamp":1769860800000,`, ``, "no timestamp"},
		"a unit of one's own":     {`"Unit":"Milliseconds"`, `"Unit":"ms"`, `unit "ms"`},
		"a metric that is a text": {`"Done":3`, `"Done":"3"`, "Done is 3, and no number"},
		"no value":                {`"Done":3,`, ``, "Done is <nil>, and no number"},
		"an empty list":           {`[1,2.5]`, `[]`, "Took has 0 values"},
		"too many values":         {`[1,2.5]`, `[1` + strings.Repeat(",1", 100) + `]`, "Took has 101 values"},
		"a dimension missing":     {`"lane":"fast",`, ``, "dimension lane is <nil>"},
		"a dimension's number":    {`"lane":"fast"`, `"lane":1`, "dimension lane is 1"},
		"an empty dimension":      {`"lane":"fast"`, `"lane":""`, "dimension lane is ,"},
		"no dimensions":           {`[["environment"]]`, `[]`, "no set of dimensions"},
		"a flat list":             {`[["environment"]]`, `["environment"]`, "cannot unmarshal"},
		"no metrics":              {`[{"Name":"Done","Unit":"Count"}]`, `[]`, "0 metrics"},
		"no namespace":            {`{"Namespace":"Some","Dimensions":[["environment"]]`, `{"Dimensions":[["environment"]]`, `namespace ""`},
		"another key":             {`"Timestamp"`, `"LogGroup":"x","Timestamp"`, "unknown field"},
		"two lines":               {`"id":7,`, "\"id\":7,\n", "more than one line"},
		"too long":                {`"id":7`, `"id":"` + strings.Repeat("a", 256<<10) + `"`, "bytes"},
		"no JSON":                 {`{"environment"`, `"environment"`, "no object of JSON"},
	} {
		if !strings.Contains(good, tc.old) {
			t.Fatalf("%s: the good line has no %s", name, tc.old)
		}
		if _, err := emf.Read([]byte(strings.Replace(good, tc.old, tc.new, 1)), now); err == nil || !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%s: no fault says %q: %v", name, tc.fault, err)
		}
	}
}

func TestIs(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{good: true, `{"_aws":1}`: true, `{"msg":"_aws"}`: false, `{"a":{"_aws":{}}}`: false, `"_aws"`: false, ``: false} {
		if got := emf.Is([]byte(line)); got != want {
			t.Errorf("%t for %s", got, line)
		}
	}
}
