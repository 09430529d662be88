package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// deployment is one run for one environment.
type deployment struct {
	environment string
	// parameters are those of samconfig.toml, by environment.
	parameters map[string]map[string]string
	// schema is the version that migrate must reach, at least.
	schema int64
	out    io.Writer
	// command runs a program and returns what it prints.
	command  func(ctx context.Context, environ []string, name string, args ...string) ([]byte, error)
	readFile func(path string) ([]byte, error)
	wait     func(ctx context.Context, d time.Duration) error
}

// dataStack is the name that samconfig.toml gives to the data stack.
func (d deployment) dataStack() string { return "cron-jobs-data-" + d.environment }

func (d deployment) run(ctx context.Context) error {
	application, known := d.parameters[d.environment]
	if _, both := d.parameters["data-"+d.environment]; !known || !both {
		return fmt.Errorf("samconfig.toml has no environment %q with its data-%s", d.environment, d.environment)
	}

	if err := d.deploy(ctx, "data-"+d.environment, nil); err != nil {
		return err
	}
	outputs, err := d.outputs(ctx)
	if err != nil {
		return err
	}
	if err := d.migrate(ctx, outputs["MigrateFunctionName"]); err != nil {
		return err
	}
	if err := d.forgetDatabaseLogs(ctx, outputs["DatabaseInstanceIdentifier"]); err != nil {
		return err
	}

	limit, free, err := d.concurrency(ctx)
	if err != nil {
		return err
	}
	planned, advice, err := plan(application, limit, free)
	if err != nil {
		return err
	}
	for _, line := range advice {
		fmt.Fprintln(d.out, "note:", line)
	}
	// Outputs that are no parameters are ignored by the SAM CLI.
	values := maps.Clone(outputs)
	maps.Copy(values, planned)
	return d.deploy(ctx, d.environment, values)
}

// deploy builds and deploys a stack. Values, when given, replace all of the
// stack's parameters in samconfig.toml.
func (d deployment) deploy(ctx context.Context, config string, values map[string]string) error {
	fmt.Fprintln(d.out, "deploying", config)
	architecture, err := goArchitecture(d.parameters[config]["Architecture"])
	if err != nil {
		return err
	}
	environ := []string{"LAMBDA_ARCH=" + architecture}
	if _, err := d.command(ctx, environ, "sam", "build", "--config-env", config); err != nil {
		return err
	}
	args := []string{"deploy", "--config-env", config}
	if values != nil {
		args = append(args, "--parameter-overrides")
		for _, name := range slices.Sorted(maps.Keys(values)) {
			args = append(args, name+"="+values[name])
		}
	}
	_, err = d.command(ctx, environ, "sam", args...)
	return err
}

// goArchitecture spells Lambda's name of a processor as Go does.
func goArchitecture(lambda string) (string, error) {
	switch lambda {
	case "arm64", "":
		return "arm64", nil
	case "x86_64":
		return "amd64", nil
	default:
		return "", fmt.Errorf("no architecture %q", lambda)
	}
}

func (d deployment) outputs(ctx context.Context) (map[string]string, error) {
	printed, err := d.command(ctx, nil, "aws", "cloudformation", "describe-stacks",
		"--stack-name", d.dataStack(), "--query", "Stacks[0].Outputs", "--output", "json")
	if err != nil {
		return nil, err
	}
	var list []struct{ OutputKey, OutputValue string }
	if err := json.Unmarshal(printed, &list); err != nil {
		return nil, fmt.Errorf("outputs of %s: %w", d.dataStack(), err)
	}
	outputs := map[string]string{}
	for _, output := range list {
		outputs[output.OutputKey] = output.OutputValue
	}
	if outputs["MigrateFunctionName"] == "" {
		return nil, fmt.Errorf("%s has no output MigrateFunctionName", d.dataStack())
	}
	return outputs, nil
}

// The start of migrate is tried again this often, this long apart: a function
// that has been idle for weeks refuses its first invocation, and where the way
// out of the network is being renewed the secrets cannot be read.
const (
	migrateTries = 5
	migrateWait  = 30 * time.Second
)

// migrate invokes the migrate function and believes nothing but the version
// that it reports: an invocation that failed is answered without an error too.
func (d deployment) migrate(ctx context.Context, function string) error {
	fmt.Fprintln(d.out, "migrating the schema to version", d.schema)
	payload, started, err := d.invoke(ctx, function)
	for try := 1; err != nil && !started && try < migrateTries; try++ {
		fmt.Fprintf(d.out, "note: %v; trying again in %v\n", err, migrateWait)
		if err := d.wait(ctx, migrateWait); err != nil {
			return err
		}
		payload, started, err = d.invoke(ctx, function)
	}
	if err != nil {
		return err
	}
	var reached struct {
		Version int64 `json:"version"`
	}
	if err := json.Unmarshal(payload, &reached); err != nil {
		return fmt.Errorf("migrate answered %s: %w", payload, err)
	}
	if reached.Version < d.schema {
		return fmt.Errorf("migrate reached version %d and not %d", reached.Version, d.schema)
	}
	if reached.Version > d.schema {
		fmt.Fprintf(d.out, "note: the schema is at version %d of a later release; it is made for this one, of %d, as well\n", reached.Version, d.schema)
	}
	return nil
}

// invoke invokes migrate and returns its answer. With an error, started tells
// whether migrate got as far as to begin.
func (d deployment) invoke(ctx context.Context, function string) (payload []byte, started bool, err error) {
	directory, err := os.MkdirTemp("", "migrate")
	if err != nil {
		return nil, true, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	answer := filepath.Join(directory, "answer.json")
	printed, err := d.command(ctx, nil, "aws", "lambda", "invoke", "--function-name", function,
		"--cli-binary-format", "raw-in-base64-out", "--cli-read-timeout", "660",
		"--payload", `{"command":"up"}`, "--output", "json", answer)
	if err != nil {
		return nil, false, err
	}
	var invocation struct{ FunctionError string }
	if err := json.Unmarshal(printed, &invocation); err != nil {
		return nil, true, fmt.Errorf("migrate: %w", err)
	}
	if payload, err = d.readFile(answer); err != nil {
		return nil, true, fmt.Errorf("migrate: %w", err)
	}
	if invocation.FunctionError != "" {
		var failure struct{ ErrorType string }
		_ = json.Unmarshal(payload, &failure) // whatever it is, it is shown
		return nil, failure.ErrorType != "Runtime.ExitError", fmt.Errorf("migrate failed (%s): %s; its log: aws logs tail /cron-jobs/%s/migrate --since 1h",
			invocation.FunctionError, payload, d.dataStack())
	}
	return payload, true, nil
}

// concurrency reads how many concurrent executions the account allows, and how
// many of them no function but this environment's own has reserved.
func (d deployment) concurrency(ctx context.Context) (limit, free int, err error) {
	var account struct {
		AccountLimit struct{ ConcurrentExecutions, UnreservedConcurrentExecutions int }
	}
	if err := d.ask(ctx, &account, "lambda", "get-account-settings"); err != nil {
		return 0, 0, err
	}
	limit, free = account.AccountLimit.ConcurrentExecutions, account.AccountLimit.UnreservedConcurrentExecutions
	// None exist before the first deployment, and asking after one would fail.
	var functions []string
	own := fmt.Sprintf("Functions[?starts_with(FunctionName, 'cron-jobs-%s-')].FunctionName", d.environment)
	if err := d.ask(ctx, &functions, "lambda", "list-functions", "--query", own); err != nil {
		return 0, 0, err
	}
	for _, function := range functions {
		var reserved struct{ ReservedConcurrentExecutions int }
		if err := d.ask(ctx, &reserved, "lambda", "get-function-concurrency", "--function-name", function); err != nil {
			return 0, 0, err
		}
		free += reserved.ReservedConcurrentExecutions
	}
	return limit, free, nil
}

// databaseLogDays is how long the database's logs are kept.
const databaseLogDays = "30"

// forgetDatabaseLogs gives the log groups that RDS has made by now, and keeps for
// ever, a retention. One that it makes later gets it by the next deployment.
func (d deployment) forgetDatabaseLogs(ctx context.Context, database string) error {
	var groups []string
	if err := d.ask(ctx, &groups, "logs", "describe-log-groups", "--log-group-name-prefix", "/aws/rds/instance/"+database+"/",
		"--query", "logGroups[?!retentionInDays].logGroupName"); err != nil {
		return err
	}
	for _, group := range groups {
		if _, err := d.command(ctx, nil, "aws", "logs", "put-retention-policy",
			"--log-group-name", group, "--retention-in-days", databaseLogDays); err != nil {
			return err
		}
	}
	return nil
}

// ask asks AWS, and decodes the answer; there may be none.
func (d deployment) ask(ctx context.Context, into any, args ...string) error {
	printed, err := d.command(ctx, nil, "aws", append(args, "--output", "json")...)
	if err != nil || len(printed) == 0 {
		return err
	}
	if err := json.Unmarshal(printed, into); err != nil {
		return fmt.Errorf("%s: %w", args[1], err)
	}
	return nil
}

// newestVersion is the highest number that a migration's file name begins with.
func newestVersion(files fs.FS) (int64, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return 0, fmt.Errorf("listing migrations: %w", err)
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("there are no migrations")
	}
	var newest int64
	for _, name := range names {
		prefix, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(prefix, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("migration %s bears no number: %w", name, err)
		}
		newest = max(newest, version)
	}
	return newest, nil
}
