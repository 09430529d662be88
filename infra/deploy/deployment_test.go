package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// account answers as the command lines of an account would, and keeps what was
// asked of them.
type account struct {
	invocation, answer string // of migrate
	failing            string // the command that fails
	reserved           int    // concurrent executions, by others
	unready            int    // how often migrate does not start
	invoke             error  // what the command line then says, where it fails
	asked              []string
}

func (a *account) command(_ context.Context, environ []string, name string, args ...string) ([]byte, error) {
	asked := strings.Join(append(slices.Clone(environ), append([]string{name}, args...)...), " ")
	a.asked = append(a.asked, asked)
	if a.failing != "" && strings.Contains(asked, a.failing) {
		return nil, errors.New("exit status 1")
	}
	switch {
	case strings.Contains(asked, "describe-stacks"):
		return []byte(`[{"OutputKey":"MigrateFunctionName","OutputValue":"migrate"},{"OutputKey":"DatabaseHost","OutputValue":"db.example"},{"OutputKey":"DatabaseInstanceIdentifier","OutputValue":"db"}]`), nil
	case strings.Contains(asked, "lambda invoke") && a.unready > 0:
		a.unready--
		answer := `{"errorType":"Runtime.ExitError","errorMessage":"exit status 1"}`
		return []byte(`{"StatusCode":200,"FunctionError":"Unhandled"}`), errors.Join(a.invoke, os.WriteFile(args[len(args)-1], []byte(answer), 0o600))
	case strings.Contains(asked, "lambda invoke"):
		return []byte(a.invocation), os.WriteFile(args[len(args)-1], []byte(a.answer), 0o600)
	case strings.Contains(asked, "get-account-settings"):
		return fmt.Appendf(nil, `{"AccountLimit":{"ConcurrentExecutions":1000,"UnreservedConcurrentExecutions":%d}}`, 1000-a.reserved-12), nil
	case strings.Contains(asked, "describe-log-groups"):
		return []byte(`["/aws/rds/instance/db/error"]`), nil
	case strings.Contains(asked, "list-functions"):
		return []byte(`["cron-jobs-dev-api","cron-jobs-dev-tick","cron-jobs-dev-executor"]`), nil
	case strings.Contains(asked, "get-function-concurrency"):
		// Nothing at all where nothing is reserved.
		return []byte(map[string]string{"cron-jobs-dev-api": `{"ReservedConcurrentExecutions":10}`, "cron-jobs-dev-tick": `{"ReservedConcurrentExecutions":2}`}[args[3]]), nil
	}
	return nil, nil
}

func (a *account) deployment(out *strings.Builder) deployment {
	return deployment{
		environment: "dev",
		parameters: map[string]map[string]string{
			"data-dev": {"Architecture": "arm64"}, "dev": {"Architecture": "x86_64", "FastConcurrency": "20"},
		},
		schema: 14, out: out, command: a.command, readFile: os.ReadFile,
		wait: func(context.Context, time.Duration) error { return nil },
	}
}

func TestOrder(t *testing.T) {
	t.Parallel()
	a := account{invocation: `{"StatusCode":200}`, answer: `{"version":14}`}
	var out strings.Builder
	if err := a.deployment(&out).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"LAMBDA_ARCH=arm64 sam build --config-env data-dev",
		"LAMBDA_ARCH=arm64 sam deploy --config-env data-dev",
		"aws cloudformation describe-stacks --stack-name cron-jobs-data-dev",
		"aws lambda invoke --function-name migrate",
		"aws logs describe-log-groups --log-group-name-prefix /aws/rds/instance/db/",
		"aws logs put-retention-policy --log-group-name /aws/rds/instance/db/error --retention-in-days 30",
		"aws lambda get-account-settings",
		"aws lambda list-functions",
		"aws lambda get-function-concurrency --function-name cron-jobs-dev-api",
		"aws lambda get-function-concurrency --function-name cron-jobs-dev-tick",
		"aws lambda get-function-concurrency --function-name cron-jobs-dev-executor",
		"LAMBDA_ARCH=amd64 sam build --config-env dev",
		"LAMBDA_ARCH=amd64 sam deploy --config-env dev --parameter-overrides AccountConcurrency=1000 Architecture=x86_64 DatabaseHost=db.example DatabaseInstanceIdentifier=db FastConcurrency=20",
	}
	var got []string
	for i, asked := range a.asked {
		if i < len(want) && strings.HasPrefix(asked, want[i]) {
			asked = want[i]
		}
		got = append(got, asked)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// Whatever goes wrong before it, the application is not deployed.
func TestNothingIsDeployedOnAnUnknownSchema(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		account account
		fault   string
	}{
		"migrate failed": {
			account{invocation: `{"StatusCode":200,"FunctionError":"Unhandled"}`, answer: `{"errorMessage":"no such table"}`}, "no such table",
		},
		"an older version":  {account{invocation: `{"StatusCode":200}`, answer: `{"version":13}`}, "version 13 and not 14"},
		"no version":        {account{invocation: `{"StatusCode":200}`, answer: `null`}, "version 0 and not 14"},
		"no answer":         {account{invocation: `{"StatusCode":200}`, answer: ``}, "migrate answered"},
		"data stack failed": {account{failing: "sam deploy"}, "exit status 1"},
		"not signed in":     {account{failing: "describe-stacks"}, "exit status 1"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			err := c.account.deployment(&out).run(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.fault) {
				t.Errorf("error %v, not %q", err, c.fault)
			}
			for _, asked := range c.account.asked {
				if strings.Contains(asked, "deploy --config-env dev") {
					t.Errorf("the application was deployed: %s", asked)
				}
			}
		})
	}
}

// A function that was idle for weeks, or that cannot read its secrets while the
// NAT is renewed, is given some time.
func TestMigrateIsGivenTimeToStart(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		account account
		invoked int
		fails   bool
	}{
		"at first":        {account{unready: 2, invocation: `{"StatusCode":200}`, answer: `{"version":14}`}, 3, false},
		"idle":            {account{unready: 1, invoke: errors.New("exit status 254"), invocation: `{"StatusCode":200}`, answer: `{"version":14}`}, 2, false},
		"never":           {account{unready: 99}, migrateTries, true},
		"failed at work":  {account{invocation: `{"FunctionError":"Unhandled"}`, answer: `{"errorType":"MySQLError"}`}, 1, true},
		"answers no JSON": {account{invocation: `200`}, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := c.account
			var out strings.Builder
			if err := a.deployment(&out).run(t.Context()); (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			if got := strings.Count(strings.Join(a.asked, "\n"), "lambda invoke"); got != c.invoked {
				t.Errorf("invoked %d times, not %d", got, c.invoked)
			}
		})
	}
}

// What others have reserved cannot be had; what this environment has reserved
// already can be reserved again.
func TestReservationsOfOthersAreSeen(t *testing.T) {
	t.Parallel()
	for reserved, want := range map[int]string{888: "ApiReservedConcurrency=10 ", 889: "ApiReservedConcurrency=0 "} {
		a := account{reserved: reserved, invocation: `{"StatusCode":200}`, answer: `{"version":14}`}
		var out strings.Builder
		d := a.deployment(&out)
		d.parameters["dev"] = map[string]string{"ApiReservedConcurrency": "10", "TickReservedConcurrency": "2"}
		if err := d.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last := a.asked[len(a.asked)-1]; !strings.Contains(last, want) {
			t.Errorf("others have reserved %d: %q lacks %q", reserved, last, want)
		}
	}
}

// Going back to the release before meets the schema of the later one.
func TestAReleaseBeforeIsDeployedOnANewerSchema(t *testing.T) {
	t.Parallel()
	a := account{invocation: `{"StatusCode":200}`, answer: `{"version":15}`}
	var out strings.Builder
	if err := a.deployment(&out).run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if last := a.asked[len(a.asked)-1]; !strings.Contains(last, "sam deploy --config-env dev ") {
		t.Errorf("the last command is %q", last)
	}
	if want := "note: the schema is at version 15"; !strings.Contains(out.String(), want) {
		t.Errorf("%q does not say %q", out.String(), want)
	}
}

func TestUnknownEnvironment(t *testing.T) {
	t.Parallel()
	var a account
	var out strings.Builder
	d := a.deployment(&out)
	d.environment = "production"
	if err := d.run(t.Context()); err == nil || len(a.asked) > 0 {
		t.Errorf("error %v after %q", err, a.asked)
	}
}

func TestNewestVersion(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"00002_b.sql": {}, "00010_c.sql": {}, "00001_a.sql": {}}
	if got, err := newestVersion(files); err != nil || got != 10 {
		t.Errorf("newestVersion = %d, %v", got, err)
	}
	if _, err := newestVersion(fstest.MapFS{"readme.sql": {}}); err == nil {
		t.Error("a file without a number is taken for a migration")
	}
	if _, err := newestVersion(fstest.MapFS{}); err == nil {
		t.Error("no migrations are taken for version 0")
	}
}
