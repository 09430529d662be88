package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/cronjobs/cronjobs/internal/app"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// The test binary is each of the functions as well, so that none has to be built:
// what it starts are the very mains.
const asFunction = "COLDSTART_TEST_FUNCTION"

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == asFunction {
		switch program := config.Program(os.Args[2]); program {
		case config.API:
			lambda.Start(app.Handler(program, app.NewAPI))
		case config.Tick:
			lambda.Start(app.Handler(program, app.NewTick))
		case config.Executor:
			lambda.Start(app.Handler(program, app.NewExecutor))
		case config.Migrate:
			lambda.Start(app.Handler(program, app.NewMigrate))
		}
	}
	os.Exit(m.Run())
}

func newJourney(t *testing.T) *journey {
	t.Helper()
	empty := mysqltest.Empty(t)
	var schema string
	if err := empty.QueryRowContext(t.Context(), "SELECT DATABASE()").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	at := mysqltest.Options(t)
	stage, err := newStage(where{at.Host, at.User, at.Password, at.Port, schema})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stage.close)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &journey{
		stage: stage, starts: 1, root: "../../..",
		commands: func(name string) []string { return []string{self, asFunction, name} },
	}
}

// TestFunctionsStartUnderTheRuntimeAPI runs the four functions under the Runtime
// API alone, from an empty database to an execution's outcome.
func TestFunctionsStartUnderTheRuntimeAPI(t *testing.T) {
	t.Parallel()
	j := newJourney(t)
	if err := j.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, f := range []function{api, tick, executor, migrate} {
		starts := j.results[f.name]
		if len(starts) != 1 || starts[0].ready <= 0 || starts[0].answered <= starts[0].ready {
			t.Errorf("%s: %+v", f.name, starts)
		}
	}
}

func TestMetricsThatAreMissingOrWrongAreErrors(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	ctx, metrics := telemetry.Measure(t.Context())
	for _, metric := range emits[tick.name] {
		telemetry.Observe(ctx, metric, "", 1)
	}
	if err := telemetry.NewEmitter(&out, environmentName, tick.name, time.Now).Emit(ctx, metrics); err != nil {
		t.Fatal(err)
	}
	good := "{\"msg\":\"tick\"}\n" + out.String()
	if err := checkMetrics(tick, good); err != nil {
		t.Error(err)
	}
	for name, tc := range map[string]struct{ old, new, fault string }{
		"another name":        {"Swept", "Sweeps", "no Swept"},
		"an unknown one":      {"Swept", "Sweeps", "no such metric, in Count of CronJobs: Sweeps"},
		"another namespace":   {`"Namespace":"CronJobs"`, `"Namespace":"Cron"`, "no such metric, in Count of Cron: Swept"},
		"another environment": {`"environment":"dev"`, `"environment":"prod"`, "Swept,environment=prod"},
		"another unit":        {`"Milliseconds"`, `"Seconds"`, "in Seconds of CronJobs: TickDuration"},
		"another format":      {`"_aws"`, `"aws"`, "no TickDuration"},
		"no timestamp":        {`"Timestamp"`, `"At"`, "_aws: "},
	} {
		if err := checkMetrics(tick, strings.ReplaceAll(good, tc.old, tc.new)); err == nil || !strings.Contains(err.Error(), tc.fault) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func TestAStartThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	for _, f := range []function{api, tick, executor, migrate} {
		j := &journey{stage: &stage{database: where{port: 3306}}, commands: newCommand(t)}
		_, err := j.start(t.Context(), f)
		if err == nil {
			t.Fatalf("%s started", f.name)
		}
		// Queries find it among the errors, by its level.
		var told []string
		for line := range strings.Lines(err.Error()) {
			var entry struct{ Time, Level, Service, Function, Err string }
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Level == "ERROR" && entry.Service == telemetry.Service && entry.Time != "" {
				told = append(told, entry.Function+": "+entry.Err)
			}
		}
		if len(told) != 1 || !strings.HasPrefix(told[0], f.name+": ") || !strings.Contains(told[0], "DB_HOST: is required") {
			t.Errorf("%s: lines of errors %q; err = %v", f.name, told, err)
		}
	}
}

func newCommand(t *testing.T) func(string) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return func(name string) []string { return []string{self, asFunction, name} }
}

func TestAProcessThatNeverAsksIsGivenUp(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := start(ctx, api, []string{"sleep", "60"}, os.Environ()); err == nil || !strings.Contains(err.Error(), "no event was asked for") {
		t.Errorf("err = %v", err)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(path, []byte(strings.Repeat("a", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := sizeOf(path)
	if err != nil || got.binary != 100_000 || got.zipped == 0 || got.zipped > 1000 {
		t.Errorf("%+v, %v", got, err)
	}
	if err := tooLarge(map[string]size{"api": {zipped: mostZipped}}); err != nil {
		t.Error(err)
	}
	if err := tooLarge(map[string]size{"api": {zipped: mostZipped + 1}, "tick": got}); err == nil || !strings.Contains(err.Error(), "api is 10.0 MB zipped") {
		t.Errorf("err = %v", err)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	results, sizes := map[string][]measurement{}, map[string]size{}
	for _, f := range []function{api, tick, executor, migrate} {
		results[f.name] = []measurement{
			{30 * time.Millisecond, 60 * time.Millisecond, 30 << 20}, {10 * time.Millisecond, 20 * time.Millisecond, 10 << 20}, {20 * time.Millisecond, 40 * time.Millisecond, 0},
		}
		sizes[f.name] = size{20 << 20, 5 << 20}
	}
	if got, want := table(results, sizes), "| executor | 20 | 40 | 60 | 10.0 | 20.0 | 5.0 |\n"; !strings.Contains(got, want) {
		t.Errorf("no %q in:\n%s", want, got)
	}
}
