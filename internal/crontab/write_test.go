package crontab

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
)

func TestQuotedWordsAreReadBack(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	const signs = `ab '"\%$!` + "`" + `#&|;<>(){}[]*?~=-é@:/,`
	all := []rune(signs)
	for range 20_000 {
		word := make([]rune, random.IntN(12))
		for i := range word {
			word[i] = all[random.IntN(len(all))]
		}
		got, err := commandWords("curl " + quote(string(word)) + " end")
		if diff := cmp.Diff([]string{"curl", string(word), "end"}, got); diff != "" || err != nil {
			t.Fatalf("%q as %s: %v\n%s", string(word), quote(string(word)), err, diff)
		}
	}
}

func sample() job.Job {
	j := job.Defaults()
	j.Name, j.Description, j.CronPattern = "Nightly", "Does it\nevery night.", "0 2 * * *"
	j.Request.URL = "https://a.example/x?a=50%25&b='c'"
	j.Request.Method = "POST"
	j.Request.Headers = map[string]string{"Authorization": job.Mask, "X-A": "it's 5%", "X-Empty": ""}
	j.Request.Body = []byte(`{"a":"b c"}`)
	j.Request.Timeout = 2500 * time.Millisecond
	j.Request.Retry = execution.RetryPolicy{Attempts: 2, Delay: 7 * time.Second, Backoff: execution.Fixed}
	j.Request.MaxRedirects = 3
	return j
}

func TestWriteAndReadBack(t *testing.T) {
	t.Parallel()
	w := NewWriter()
	j := sample()
	if most := w.Measure(j); most <= 0 {
		t.Errorf("measure %d", most)
	}
	w.Add(j)
	berlin := sample()
	berlin.Name, berlin.Timezone, berlin.CronPattern, berlin.Request.Method = "Second", "Europe/Berlin", "0 0 9 ? * MON", "HEAD"
	berlin.Request.Body = nil
	w.Add(berlin)
	items, faults := Read(w.String())
	if len(items) != 2 || len(faults) != 0 {
		t.Fatalf("%v\n%s", faults, w)
	}
	first, second := items[0], items[1]
	if len(first.Faults)+len(second.Faults) != 0 {
		t.Fatalf("%v %v\n%s", first.Faults, second.Faults, w)
	}
	in := first.Input
	wantHeaders := map[string]string{"Authorization": job.Mask, "X-A": "it's 5%", "X-Empty": "", "Content-Type": "application/json"}
	if diff := cmp.Diff(wantHeaders, *in.Headers.Value); diff != "" {
		t.Error(diff)
	}
	if *in.Name != "Nightly" || *in.Description != "Does it every night." || *in.URL != j.Request.URL || *in.Method != "POST" ||
		string(*in.Body.Value) != `{"a":"b c"}` || *in.Timeout != 2500 || *in.RetryAttempts != 2 || *in.RetryDelay != 7000 || *in.MaxRedirects != 3 {
		t.Errorf("%+v\n%s", in, w)
	}
	if *second.Input.CronPattern != "0 9 * * 1" || *second.Input.Timezone != "Europe/Berlin" || *second.Input.Method != "HEAD" {
		t.Errorf("%s %s\n%s", *second.Input.CronPattern, *second.Input.Timezone, w)
	}
}

func TestWhatACrontabCannotSayIsAComment(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*job.Job){
		"seconds":        func(j *job.Job) { j.CronPattern = "30 0 2 * * *" },
		"last day":       func(j *job.Job) { j.CronPattern = "0 0 L * *" },
		"nth weekday":    func(j *job.Job) { j.CronPattern = "0 0 * * 5#3" },
		"inactive":       func(j *job.Job) { j.Status = job.Inactive },
		"stopped":        func(j *job.Job) { j.Status = job.Failed },
		"a line's end":   func(j *job.Job) { j.Request.Body = []byte("{\n}") },
		"text of lines":  func(j *job.Job) { j.Request.Body = []byte(`"a\nb"`) },
		"unknown zone":   func(j *job.Job) { j.Timezone = "Mars/Olympus" },
		"enormous quote": func(j *job.Job) { j.Request.Body = []byte(`"` + strings.Repeat("'", 65_530) + `"`) },
	} {
		j := sample()
		change(&j)
		w := NewWriter()
		w.Add(j)
		items, faults := Read(w.String())
		if len(items)+len(faults) != 0 || !strings.Contains(w.String(), "# Nightly: ") {
			t.Errorf("%s: %d items, %v\n%.400s", name, len(items), faults, w)
		}
	}
}

func TestMacrosAndSecretBodies(t *testing.T) {
	t.Parallel()
	j := sample()
	j.CronPattern, j.Request.Body, j.Request.BodySecret = "@weekly", []byte(`"`+job.Mask+`"`), true
	w := NewWriter()
	w.Add(j)
	item := one(t, w.String())
	if *item.Input.CronPattern != "@weekly" || string(*item.Input.Body.Value) != `"********"` || !*item.Input.BodySecret {
		t.Errorf("%+v\n%s", item.Input, w)
	}
}

// Whatever an export masks must be known for a secret when it is read: a mask
// that is none is refused.
func TestMasksAreReadAsSecrets(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		headers map[string]string
		listed  []string
		want    []string
	}{
		"secret by name":      {headers: map[string]string{"Authorization": "v", "X-Token": "v", "Cookie": "v"}},
		"listed":              {headers: map[string]string{"X-S": "v", "X-B": "v", "X-Plain": "v"}, listed: []string{"x-s", "X-B"}, want: []string{"X-B", "X-S"}},
		"listed and by name":  {headers: map[string]string{"X-S": "v", "X-Api-Key": "v"}, listed: []string{"X-S", "X-Api-Key"}, want: []string{"X-S"}},
		"names one":           {headers: map[string]string{"X-S": "{{secret.A}}"}, listed: []string{"X-S"}},
		"listed, not sent":    {headers: map[string]string{"X-Plain": "v"}, listed: []string{"X-S"}},
		"listed and is empty": {headers: map[string]string{"X-S": ""}, listed: []string{"X-S"}, want: []string{"X-S"}},
	} {
		j := sample()
		j.Request.Headers, j.Request.SecretHeaders = c.headers, c.listed
		j.Request = j.Request.Masked()
		w := NewWriter()
		w.Add(j)
		in := one(t, w.String()).Input
		var got []string
		if in.SecretHeaders != nil {
			got = *in.SecretHeaders
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s%s", name, diff, w)
		}
	}
}
