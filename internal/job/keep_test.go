package job

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// keeper is a job with two kinds of secret header, a plain one, and a secret
// body.
func keeper() Job {
	j := Defaults()
	j.Name, j.Description, j.CronPattern, j.CategoryID = "Keeper", "Keeps its secrets", "@daily", 7
	j.Category = *anyCategory
	j.Version, j.Revision = 3, 2
	j.Request.URL = "https://a.example/x"
	j.Request.Headers = map[string]string{"Authorization": "Bearer s1", "X-Mine": "s2", "X-Plain": "p"}
	j.Request.SecretHeaders = []string{"X-Mine"}
	j.Request.Body = []byte(`{"key":"s3"}`)
	j.Request.BodySecret = true
	return j
}

func TestMasked(t *testing.T) {
	t.Parallel()
	stored := keeper().Request
	shown := stored.Masked()
	want := map[string]string{"Authorization": Mask, "X-Mine": Mask, "X-Plain": "p"}
	if diff := cmp.Diff(want, shown.Headers); diff != "" {
		t.Error(diff)
	}
	if string(shown.Body) != `"********"` {
		t.Errorf("body %s", shown.Body)
	}
	if !stored.equal(keeper().Request) {
		t.Error("the stored request was changed")
	}
}

func TestIsSecretHeader(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"authorization", "PROXY-Authorization", "Cookie", "X-API-Key", "X-Auth-Token", "Client-Secret", "PasswordHash", "x-listed"} {
		if !IsSecretHeader(name, []string{"X-Listed"}) {
			t.Errorf("%s is shown", name)
		}
	}
	for _, name := range []string{"Content-Type", "X-Api-Key-Id", "X-Request-Id", "Set-Cookie"} {
		if IsSecretHeader(name, []string{"X-Listed"}) {
			t.Errorf("%s is hidden", name)
		}
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	want := []string{"Bearer s1", "s1", "s2", "s3", `{"key":"s3"}`}
	if diff := cmp.Diff(want, keeper().Request.Secrets()); diff != "" {
		t.Error(diff)
	}
}

func TestKeptSecrets(t *testing.T) {
	t.Parallel()
	allMasked := headers("Authorization", Mask, "X-Mine", Mask, "X-Plain", "p")
	tests := []struct {
		name   string
		in     Input
		faults []string
		want   map[string]string // of headers; nil: not looked at
	}{
		{"nothing named", Input{}, nil, keeper().Request.Headers},
		{"all masked", Input{Headers: allMasked, Body: body(`"********"`)}, nil, keeper().Request.Headers},
		{"masked under another spelling", Input{Headers: headers("AUTHORIZATION", Mask)}, nil, map[string]string{"AUTHORIZATION": "Bearer s1"}},
		{"entered anew", Input{Headers: headers("Authorization", "new")}, nil, map[string]string{"Authorization": "new"}},
		{"mask without a stored value", Input{Headers: headers("Cookie", Mask)}, []string{"headers.Cookie"}, nil},
		{"mask under the name of a plain one", Input{Headers: headers("X-Plain", Mask)}, nil, map[string]string{"X-Plain": "p"}},
		{"no longer listed", Input{SecretHeaders: &[]string{}}, []string{"secretHeaders"}, nil},
		{"no longer listed, and masked", Input{SecretHeaders: &[]string{}, Headers: allMasked}, []string{"headers.X-Mine"}, nil},
		{"no longer listed, but entered", Input{SecretHeaders: &[]string{}, Headers: headers("X-Mine", "new")}, nil, map[string]string{"X-Mine": "new"}},
		{"no longer listed, and removed", Input{SecretHeaders: &[]string{}, Headers: headers()}, nil, nil},
		{"body no longer secret", Input{BodySecret: new(false)}, []string{"bodySecret"}, nil},
		{"body no longer secret, and masked", Input{BodySecret: new(false), Body: body(`"********"`)}, []string{"body"}, nil},
		{"body no longer secret, but entered", Input{BodySecret: new(false), Body: body(`1`)}, nil, nil},
		{"same host", Input{URL: new("https://A.example:443/other?q=1")}, nil, nil},
		{"other host", Input{URL: new("https://b.example/x")}, []string{"headers.Authorization", "headers.X-Mine", "body"}, nil},
		{"other scheme", Input{URL: new("http://a.example/x")}, []string{"headers.Authorization", "headers.X-Mine", "body"}, nil},
		{"other port", Input{URL: new("https://a.example:444/x")}, []string{"headers.Authorization", "headers.X-Mine", "body"}, nil},
		{"other host, masked", Input{URL: new("https://b.example/x"), Headers: allMasked, Body: body(` "********"`)}, []string{"headers.Authorization", "headers.X-Mine", "body"}, nil},
		{
			"other host, entered anew",
			Input{URL: new("https://b.example/x"), Headers: headers("Authorization", "new"), Body: body("1")},
			nil,
			map[string]string{"Authorization": "new"},
		},
		{"other host, nothing secret left", Input{URL: new("https://b.example/x"), Headers: headers("X-Plain", "p"), Body: body("null")}, nil, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			current := keeper()
			got, err := test.in.check(current, &current.Request, anyCategory, noon)
			if diff := cmp.Diff(test.faults, fields(err)); diff != "" {
				t.Fatalf("%s\n%v", diff, err)
			}
			if test.want == nil {
				return
			}
			if diff := cmp.Diff(test.want, got.Request.Headers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReplaceKeepsMaskedSecretsAlone(t *testing.T) {
	t.Parallel()
	current := keeper()
	in := validInput()
	in.URL = new("https://a.example/x")
	in.Headers = headers("Authorization", Mask)
	got, err := in.check(Defaults(), &current.Request, anyCategory, noon)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"Authorization": "Bearer s1"}, got.Request.Headers); diff != "" {
		t.Error(diff)
	}
	if got.Request.Body != nil {
		t.Error("a body that was not given is kept")
	}
}

func TestChangeTo(t *testing.T) {
	t.Parallel()
	past := noon.Add(-5 * 24 * 60 * 60 * 1e9)
	tests := []struct {
		name    string
		current func(*Job)
		edit    func(*Job)
		want    Change // Job is not looked at
		next    string // the next run, "" for none; only with Reschedule
	}{
		{"nothing", nil, func(*Job) {}, Change{Nothing: true}, ""},
		{"name", nil, func(j *Job) { j.Name = "Other" }, Change{}, ""},
		{"description", nil, func(j *Job) { j.Description = "Another text" }, Change{}, ""},
		{"misfire", nil, func(j *Job) { j.MisfirePolicy = MisfireSkip }, Change{}, ""},
		{"category", nil, func(j *Job) { j.CategoryID, j.Category.ID = 8, 8 }, Change{}, ""},
		{
			"to an inactive category", nil,
			func(j *Job) { j.CategoryID, j.Category = 8, CategoryRef{ID: 8, Status: CategoryInactive} },
			Change{Reschedule: true},
			"",
		},
		{
			"from an inactive category",
			func(j *Job) { j.Category.Status = CategoryInactive; j.NextRunAt = nil },
			func(j *Job) { j.CategoryID, j.Category = 8, CategoryRef{ID: 8, Status: CategoryActive} },
			Change{Reschedule: true},
			"2026-02-01T00:00:00Z",
		},
		{"pattern", nil, func(j *Job) { j.CronPattern = "30 12 * * *" }, Change{Cancel: CancelFuture, Reschedule: true}, "2026-01-31T12:30:00Z"},
		{"zone", nil, func(j *Job) { j.Timezone = "Asia/Kolkata" }, Change{Cancel: CancelFuture, Reschedule: true}, "2026-01-31T18:30:00Z"},
		{"method", nil, func(j *Job) { j.Request.Method = "POST" }, Change{NewRevision: true, Cancel: CancelFuture, Reschedule: true}, "2026-02-01T00:00:00Z"},
		{"retry", nil, func(j *Job) { j.Request.Retry.Attempts = 0 }, Change{NewRevision: true, Cancel: CancelFuture, Reschedule: true}, "2026-02-01T00:00:00Z"},
		{"overlap", nil, func(j *Job) { j.Request.OverlapPolicy = OverlapSkip }, Change{NewRevision: true, Cancel: CancelFuture, Reschedule: true}, "2026-02-01T00:00:00Z"},
		{"pause", nil, func(j *Job) { j.Status = Inactive }, Change{Cancel: CancelScheduled, Reschedule: true}, ""},
		{
			"pause and request", nil,
			func(j *Job) { j.Status = Inactive; j.Request.Method = "POST" },
			Change{NewRevision: true, Cancel: CancelScheduled, Reschedule: true},
			"",
		},
		{
			"resume", func(j *Job) { j.Status = Inactive; j.NextRunAt = nil },
			func(j *Job) { j.Status = Active },
			Change{Reschedule: true},
			"2026-02-01T00:00:00Z",
		},
		{
			"restart", func(j *Job) { j.Status, j.StatusReason = Failed, "20 failures"; j.NextRunAt = nil },
			func(j *Job) { j.Status = Active },
			Change{Reschedule: true, ForgetFailures: true},
			"2026-02-01T00:00:00Z",
		},
		{
			"edit while paused", func(j *Job) { j.Status = Inactive; j.NextRunAt = nil },
			func(j *Job) { j.CronPattern = "@hourly" },
			Change{Cancel: CancelFuture, Reschedule: true},
			"",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			current := keeper()
			current.NextRunAt = &past
			if test.current != nil {
				test.current(&current)
			}
			edited := current
			test.edit(&edited)
			got, err := changeTo(current, edited, noon)
			if err != nil {
				t.Fatal(err)
			}
			j := got.Job
			got.Job = Job{}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			if got.Nothing {
				return
			}
			if j.Version != 4 || !j.UpdatedAt.Equal(noon) {
				t.Errorf("version %d, updated at %s", j.Version, j.UpdatedAt)
			}
			if wantRevision := map[bool]int{true: 3, false: 2}[got.NewRevision]; j.Revision != wantRevision {
				t.Errorf("revision %d, want %d", j.Revision, wantRevision)
			}
			if got.Reschedule {
				next := ""
				if j.NextRunAt != nil {
					next = j.NextRunAt.Format("2006-01-02T15:04:05Z07:00")
				}
				if next != test.next {
					t.Errorf("next run %q, want %q", next, test.next)
				}
			}
			if got.ForgetFailures && j.StatusReason != "" {
				t.Error("the reason of the failure is still told")
			}
		})
	}
}

func TestResumeOfAJobThatCanNoLongerBeScheduled(t *testing.T) {
	t.Parallel()
	current := keeper()
	current.Status, current.Timezone = Failed, "Gone/Zone"
	edited := current
	edited.Status = Active
	_, err := changeTo(current, edited, noon)
	if got := fields(err); !slices.Equal(got, []string{"timezone"}) {
		t.Errorf("faults %v", got)
	}
}
