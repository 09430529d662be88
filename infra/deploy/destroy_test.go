package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDestroyAsks(t *testing.T) {
	t.Parallel()
	application, data := "sam delete --stack-name cron-jobs-dev --no-prompts", "sam delete --stack-name cron-jobs-data-dev --no-prompts"
	for name, c := range map[string]struct {
		typed, failing string
		want           []string
		fails          bool
	}{
		"nothing":             {"", "", nil, true},
		"yes":                 {"yes\nyes\n", "", nil, true},
		"another environment": {"prod\nprod\n", "", nil, true},
		"the application":     {"dev\nno\n", "", []string{application}, true},
		"both":                {"dev\ndev\n", "", []string{application, data}, false},
		"a failure":           {"dev\ndev\n", "sam delete", []string{application}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := account{failing: c.failing}
			var out strings.Builder
			err := a.deployment(&out).destroy(t.Context(), strings.NewReader(c.typed))
			if (err != nil) != c.fails {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(c.want, a.asked); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// stub puts a program of that name on a path of its own, which writes its
// arguments down and then runs the script.
func stub(t *testing.T, name, script string) (path string, asked func() string) {
	t.Helper()
	directory := t.TempDir()
	log := filepath.Join(directory, "asked")
	text := "#!/bin/bash\necho \"${AWS_DEFAULT_REGION:+$AWS_DEFAULT_REGION }${LAMBDA_ARCH:+LAMBDA_ARCH=$LAMBDA_ARCH }$*\" >>'" + log + "'\n" + script
	if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return directory, func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			return ""
		}
		return string(text)
	}
}

// The command itself, with the two programs that it drives replaced.
func TestCommandWithStubs(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "deploy")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	answers := `case "$*" in
*describe-stacks*) echo '[{"OutputKey":"MigrateFunctionName","OutputValue":"migrate"}]' ;;
*invoke*) echo '%s'; for last; do :; done; echo '{"version":1}' >"$last" ;;
esac
`
	for name, c := range map[string]struct{ invocation, says string }{
		"an old schema":      {`{"StatusCode":200}`, "reached version 1"},
		"migrate has failed": {`{"StatusCode":200,"FunctionError":"Unhandled"}`, "migrate failed (Unhandled)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			aws, _ := stub(t, "aws", strings.Replace(answers, "%s", c.invocation, 1))
			sam, asked := stub(t, "sam", "")
			command := exec.CommandContext(t.Context(), binary, "dev")
			command.Dir = "../.."
			command.Env = append(os.Environ(), "PATH="+aws+":"+sam+":"+os.Getenv("PATH"), "AWS_REGION=eu-west-1", "AWS_DEFAULT_REGION=")
			out, err := command.CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.says) {
				t.Errorf("error %v: %s", err, out)
			}
			want := "eu-west-1 LAMBDA_ARCH=arm64 build --config-env data-dev\neu-west-1 LAMBDA_ARCH=arm64 deploy --config-env data-dev\n"
			if diff := cmp.Diff(want, asked()); diff != "" {
				t.Errorf("sam was asked (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLogsOfEveryFunctionAreFollowed(t *testing.T) {
	t.Parallel()
	// The first that ends, ends all.
	aws, asked := stub(t, "aws", `for _ in {1..600}; do [[ $(wc -l <"$(dirname "$0")/asked") -lt 4 ]] || exit 0; sleep 0.05; done`)
	command := exec.CommandContext(t.Context(), "../logs.sh", "prod")
	command.Env = append(os.Environ(), "PATH="+aws+":"+os.Getenv("PATH"))
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, group := range []string{"cron-jobs-prod/api", "cron-jobs-prod/tick", "cron-jobs-prod/executor", "cron-jobs-data-prod/migrate"} {
		if want := "logs tail /cron-jobs/" + group + " --since 10m --follow"; !strings.Contains(asked(), want) {
			t.Errorf("%q lacks %q", asked(), want)
		}
	}
}

func TestBothCommandLinesHaveOneRegion(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		region, fallback, want string
		fails                  bool
	}{
		"the profile's": {"", "", "", false},
		"the AWS CLI's": {"eu-west-1", "", "eu-west-1", false},
		"the SAM CLI's": {"", "eu-west-1", "eu-west-1", false},
		"the same":      {"eu-west-1", "eu-west-1", "eu-west-1", false},
		"one for each":  {"eu-west-1", "us-east-1", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			given := map[string]string{"AWS_REGION": c.region, "AWS_DEFAULT_REGION": c.fallback}
			set := map[string]string{}
			err := oneRegion(func(name string) string { return given[name] }, func(name, value string) error {
				set[name] = value
				return nil
			})
			if (err != nil) != c.fails || set["AWS_REGION"] != c.want || set["AWS_DEFAULT_REGION"] != c.want {
				t.Errorf("error %v, set %q", err, set)
			}
		})
	}
}

func TestStoryOfAnExecution(t *testing.T) {
	t.Parallel()
	aws, asked := stub(t, "aws", `case "$*" in
*executor*) echo '2026-01-31T09:30:02 finished' ;;
*api*) echo '2026-01-31T09:30:00 asked for' ;;
esac
`)
	run := func(args ...string) (string, error) {
		command := exec.CommandContext(t.Context(), "../logs.sh", args...)
		command.Env = append(os.Environ(), "PATH="+aws+":"+os.Getenv("PATH"))
		out, err := command.CombinedOutput()
		return string(out), err
	}
	out, err := run("prod", "execution", "42")
	if want := "2026-01-31T09:30:00 asked for\n2026-01-31T09:30:02 finished\n"; err != nil || out != want {
		t.Errorf("%v: %q", err, out)
	}
	if want := "logs tail /cron-jobs/cron-jobs-prod/executor --since 30d --format short --filter-pattern { $.executionId = 42 }\n"; !strings.Contains(asked(), want) {
		t.Errorf("asked %q", asked())
	}
	for _, args := range [][]string{{"prod", "execution", "1 } || {"}, {"prod", "execution"}, {"production"}, {}} {
		before := asked()
		if out, err := run(args...); err == nil || asked() != before {
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
}
