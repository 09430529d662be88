package crontab

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

// one reads a crontab of one job.
func one(t *testing.T, text string) job.ImportItem {
	t.Helper()
	items, faults := Read(text)
	if len(items) != 1 || len(faults) != 0 {
		t.Fatalf("%q: %d items, faults %v", text, len(items), faults)
	}
	return items[0]
}

func headersOf(in job.Input) map[string]string {
	if in.Headers.Value == nil {
		return nil
	}
	return *in.Headers.Value
}

func bodyText(in job.Input) string {
	if in.Body.Value == nil {
		return ""
	}
	return string(*in.Body.Value)
}

func TestCalls(t *testing.T) {
	t.Parallel()
	type call struct {
		URL, Method, Body string
		Headers           map[string]string
	}
	form := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	const url = "https://a.example/x"
	tests := []struct {
		command string
		want    call
	}{
		{`curl https://a.example/x`, call{url, "GET", "", nil}},
		{`/usr/bin/curl -sSfL -o /dev/null https://a.example/x`, call{url, "GET", "", nil}},
		{`curl -fsSo/dev/null --url https://a.example/x >/dev/null 2>&1`, call{url, "GET", "", nil}},
		{`curl a.example/x`, call{"http://a.example/x", "GET", "", nil}},
		{`curl -- https://a.example/x`, call{url, "GET", "", nil}},
		{`curl -XPUT https://a.example/x`, call{url, "PUT", "", nil}},
		{`curl --request DELETE https://a.example/x`, call{url, "DELETE", "", nil}},
		{`curl -I https://a.example/x`, call{url, "HEAD", "", nil}},
		{`curl -H 'X-A:  b: c ' -HX-B:d -H 'X-C;' https://a.example/x`, call{url, "GET", "", map[string]string{"X-A": "b: c", "X-B": "d", "X-C": ""}}},
		{`curl -H 'Expect:' https://a.example/x`, call{url, "GET", "", nil}},
		{`curl -d a=1 -d b=2 https://a.example/x`, call{url, "POST", `"a=1&b=2"`, form}},
		{`curl -d '{"a": 1}' -H 'content-type: application/json' https://a.example/x`, call{url, "POST", `{"a": 1}`, map[string]string{"content-type": "application/json"}}},
		{`curl -d '{"a":1}' -H Content-Type: https://a.example/x`, call{url, "POST", `{"a":1}`, nil}},
		{`curl --json '{"a":' --json '1}' https://a.example/x`, call{url, "POST", `{"a":1}`, map[string]string{"Content-Type": "application/json", "Accept": "application/json"}}},
		{`curl --data-raw @x https://a.example/x`, call{url, "POST", `"@x"`, form}},
		{`curl --data-raw '"a"' https://a.example/x`, call{url, "POST", `"\"a\""`, form}},
		{`curl --data-binary null https://a.example/x`, call{url, "POST", `"null"`, form}},
		{`curl --data-raw ' {}' https://a.example/x`, call{url, "POST", `" {}"`, form}},
		{`curl -d $'a\nb<&>' https://a.example/x`, call{url, "POST", `"a\nb<&>"`, form}},
		{`curl -d '' https://a.example/x`, call{url, "POST", "", form}},
		{`curl -X PATCH -d 5 https://a.example/x`, call{url, "PATCH", "5", form}},
		{`curl -G -d a=1 --data-urlencode 'b=c d/+' --data-urlencode '=&' https://a.example/x`, call{url + "?a=1&b=c%20d%2F%2B&%26", "GET", "", nil}},
		{`curl -G -d a=1 'https://a.example/x?b=2#f'`, call{url + "?b=2&a=1#f", "GET", "", nil}},
		{`curl -G -I -d a=1 https://a.example/x`, call{url + "?a=1", "HEAD", "", nil}},
		{`curl -u me:pa\%ss https://a.example/x`, call{url, "GET", "", map[string]string{"Authorization": "Basic bWU6cGElc3M="}}},
		{`curl --oauth2-bearer abc https://a.example/x`, call{url, "GET", "", map[string]string{"Authorization": "Bearer abc"}}},
		{`curl -u a:b -H 'Authorization: mine' https://a.example/x`, call{url, "GET", "", map[string]string{"Authorization": "mine"}}},
		{`curl -A 'me/1' -e https://r.example/ -b 'a=b; c=d' https://a.example/x`, call{url, "GET", "", map[string]string{"User-Agent": "me/1", "Referer": "https://r.example/", "Cookie": "a=b; c=d"}}},
		{`curl 'https://a.example/x\%20y?a=1&b=2'`, call{url + "%20y?a=1&b=2", "GET", "", nil}},
		{`curl https://a.example/x?a=1 # why`, call{url + "?a=1", "GET", "", nil}},
		{`curl -g 'https://[::1]:8080/{x}'`, call{"https://[::1]:8080/{x}", "GET", "", nil}},
		{`curl 'https://[::1]/x'`, call{"https://[::1]/x", "GET", "", nil}},
	}
	for _, test := range tests {
		command, want := test.command, test.want
		item := one(t, "* * * * * "+command)
		if len(item.Faults) > 0 {
			t.Errorf("%s: faults %v", command, item.Faults)
			continue
		}
		in := item.Input
		got := call{*in.URL, *in.Method, bodyText(in), headersOf(in)}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", command, diff)
		}
	}
}

func TestRulesOfCalls(t *testing.T) {
	t.Parallel()
	type want struct {
		Timeout, Retries, Delay, Redirects int64 // -1: not given
		Backoff                            string
	}
	for command, want := range map[string]want{
		`curl x`:                                       {-1, 0, -1, -1, ""},
		`curl -m 2.5 x`:                                {2500, 0, -1, -1, ""},
		`curl --max-time 60 --retry 3 x`:               {60000, 3, -1, -1, "exponential"},
		`curl --retry 2 --retry-delay 7 x`:             {-1, 2, 7000, -1, ""},
		`curl -L x`:                                    {-1, 0, -1, 5, ""},
		`curl -L --max-redirs 2 x`:                     {-1, 0, -1, 2, ""},
		`curl --max-redirs 50 -L x`:                    {-1, 0, -1, 5, ""},
		`curl --location --max-redirs -1 x`:            {-1, 0, -1, 5, ""},
		`curl --max-redirs 3 x`:                        {-1, 0, -1, -1, ""},
		`curl --connect-timeout 5 --compressed x`:      {-1, 0, -1, -1, ""},
		`curl -sS --fail-with-body -w '\%{x}\n' -vi x`: {-1, 0, -1, -1, ""},
	} {
		item := one(t, "@daily "+command)
		if len(item.Faults) > 0 {
			t.Errorf("%s: faults %v", command, item.Faults)
		}
		in := item.Input
		given := func(n *int64) int64 {
			if n == nil {
				return -1
			}
			return *n
		}
		got := want
		got.Timeout, got.Retries, got.Delay, got.Redirects, got.Backoff = given(in.Timeout), given(in.RetryAttempts), given(in.RetryDelay), given(in.MaxRedirects), ""
		if in.RetryBackoff != nil {
			got.Backoff = *in.RetryBackoff
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", command, diff)
		}
	}
}

func TestFaultyCommands(t *testing.T) {
	t.Parallel()
	for _, command := range []string{
		``, `wget x`, `root curl x`, `curl`, `curl x y`, `curl -X`, `curl --header`, `curl -k x`, `curl --insecure x`, `curl -sk x`, `curl -O x`, `curl -o file x`, `curl -T f x`,
		`curl -F a=b x`, `curl --no-such x`, `curl -Z x`, `curl -d @f x`, `curl --data-binary @- x`, `curl --json @f x`, `curl --data-urlencode a@f x`, `curl --data-urlencode @f x`,
		`curl -H @f x`, `curl -H nothing x`, `curl -H 'A: 1' -H 'a: 2' x`, `curl -u me x`, `curl -b jar x`, `curl -m soon x`, `curl -m NaN x`, `curl -m -1 x`, `curl --retry x y`, `curl --retry -1 x`,
		`curl -I -d a x`, `curl 'x/{a,b}'`, `curl 'x/[1-9]'`, `curl -d $'\xff' x`, `curl x%20y`, `curl x > out`, `curl x | jq .`, `curl x && curl y`, `curl $URL`, "curl `url`", `curl x?a=1&b=2`,
		`FOO=bar curl x`, `curl 'x`, `-u a:b curl`, `curl x --next y`, `curl --digest -u a:b x`,
	} {
		item := one(t, "# name: A\n*/5 * * * * "+command)
		said := false
		for _, fault := range item.Faults {
			said = said || fault.Name == "command"
			if strings.Contains(fault.Message, "jar") || strings.Contains(fault.Message, "no-such") {
				t.Errorf("%s: a fault repeats a value: %s", command, fault.Message)
			}
		}
		if !said || item.Place != "line 2" || *item.Input.CronPattern != "*/5 * * * *" {
			t.Errorf("%s: %s %v", command, item.Place, item.Faults)
		}
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	items, faults := Read("\uFEFF# a crontab\r\n" +
		"MAILTO=me@example.com\r\nSHELL = \"/bin/bash\"\r\n\r\n" +
		"  @daily\tcurl https://a.example/one\r\n" +
		"CRON_TZ=\"Europe/Berlin\"\n" +
		"# name: Two words\n#description:  What it does.  \n" +
		"0 9 * * MON-FRI   curl https://a.example/two\n" +
		"#name:Three\n" +
		"TZ=\n" +
		"30 0 2 * * * curl https://a.example/three\n" +
		"0 0 1 1 * FRI curl https://a.example/one\n" +
		"# name: left over\n" +
		"*\t*  * * * curl https://a.example/one/")
	if len(faults) != 0 {
		t.Fatal(faults)
	}
	var got []string
	for _, item := range items {
		in := item.Input
		codes := ""
		for _, w := range item.Warnings {
			codes += " " + w.Code
		}
		if len(item.Faults) > 0 {
			t.Error(item.Faults)
		}
		got = append(got, strings.Join([]string{item.Place, *in.Name, *in.Description, *in.CronPattern, *in.Timezone + codes}, "|"))
	}
	want := []string{
		"line 5|a-example-one|Imported from line 5 of a crontab.|@daily|UTC variable_ignored",
		"line 9|Two words|What it does.|0 9 * * MON-FRI|Europe/Berlin",
		"line 12|Three|Imported from line 12 of a crontab.|30 0 2 * * *|UTC",
		"line 13|a-example-one-2|Imported from line 13 of a crontab.|0 0 1 1 * FRI|UTC",
		"line 15|left over|Imported from line 15 of a crontab.|* * * * *|UTC",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsOfOtherLines(t *testing.T) {
	t.Parallel()
	_, faults := Read("CRON_TZ=Mars/Olympus\nTZ=Local\n" + strings.Repeat("x", maxLine+1) + "\n\xff\n")
	want := []string{"line 1.timezone", "line 2.timezone", "line 3", "line 4"}
	var got []string
	for _, fault := range faults {
		got = append(got, fault.Name)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, faults := Read(strings.Repeat("* * * * * curl x\n", job.MaxImport+1)); len(faults) != 1 {
		t.Errorf("too many jobs: %v", faults)
	}
}

func TestNamesAreUniqueAndStable(t *testing.T) {
	t.Parallel()
	text := "# name: A-example-X-2\n* * * * * curl https://b.example/\n" +
		strings.Repeat("* * * * * curl https://a.example/x?q\n", 3) +
		"* * * * * curl http://A.EXAMPLE/X/\n* * * * * curl https://a.example/" + strings.Repeat("long/", 40) + "\n" +
		"* * * * * curl https://a.example/" + strings.Repeat("long/", 40) + "1\n* * * * * curl é\n* * * * * curl 'https://u:secret@c.example/'"
	var names []string
	items, _ := Read(text)
	for _, item := range items {
		names = append(names, *item.Input.Name)
	}
	long := "a-example-" + strings.TrimSuffix(strings.Repeat("long-", 18), "-")
	want := []string{"A-example-X-2", "a-example-x", "a-example-x-3", "a-example-x-4", "A-EXAMPLE-X-5", long, long[:98] + "-2", "job-9", "c-example"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
	again, _ := Read(text)
	for i, item := range again {
		if *item.Input.Name != names[i] {
			t.Errorf("read again, %q is %q", names[i], *item.Input.Name)
		}
	}
}

func TestDeepDataIsKeptAsText(t *testing.T) {
	t.Parallel()
	data := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	item := one(t, "* * * * * curl --data-raw '"+data+"' https://a.example/")
	var text string
	if err := json.Unmarshal(*item.Input.Body.Value, &text); err != nil || text != data {
		t.Errorf("%v %q", err, text)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{
		"", "# name: A\n@daily curl -fsS -H 'A: b' https://a.example/x\n", "CRON_TZ=Europe/Berlin\n* * * * * curl -d $'a\\x41' \"b\\\"\" >/dev/null 2>&1\n",
		"0 0 1 1 FRI 0 curl -G -d a=1 x\n", "A=1\n1 curl\n", "* * * * * curl -u a:b --retry 3 -Lm5 [::1]/{}\n", "@x\n@", "\uFEFF", "* * * * * curl \\",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		items, faults := Read(text)
		names := map[string]bool{}
		for _, item := range items {
			in := item.Input
			if in.Name == nil || in.Description == nil || in.CronPattern == nil || in.URL == nil {
				t.Fatalf("a field is missing: %+v", item)
			}
			if !strings.Contains(text, "name:") {
				if key := job.NameKey(*in.Name); names[key] || *in.Name == "" || len(*in.Name) > 100 {
					t.Fatalf("name %q", *in.Name)
				} else {
					names[key] = true
				}
			}
			if in.Body.Value != nil && !json.Valid(*in.Body.Value) && len(item.Faults) == 0 {
				t.Fatalf("a body that is no JSON: %q", *in.Body.Value)
			}
		}
		for _, fault := range append([]apperr.Field{}, faults...) {
			if !strings.HasPrefix(fault.Name, "line ") {
				t.Fatalf("a fault without a place: %v", fault)
			}
		}
	})
}
