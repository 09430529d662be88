package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/config"
)

// enough is the least that the API starts with.
func enough(more ...string) []string {
	return append([]string{
		"DB_HOST=db.internal", "DB_USERNAME=app", "JWT_SECRET=" + strings.Repeat("k", 32),
		"QUEUE_FAST_URL=https://sqs.example/fast", "QUEUE_SLOW_URL=https://sqs.example/slow",
	}, more...)
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	// Empty means the default; variables of the original product are ignored.
	cfg, err := config.Parse(config.API, enough("PORT=", "RATE_LIMIT_IP=", "NODE_ENV=production", "REDIS_HOST=x", "REDIS_PORT=y"))
	if err != nil {
		t.Fatal(err)
	}
	got := []any{
		cfg.HTTPPort, cfg.LogLevel, cfg.DB.Port, cfg.DB.Name, cfg.JWT.AccessExpiry, cfg.JWT.RefreshExpiry, cfg.CORSOrigins,
		cfg.RateLimits, cfg.AllowRegistration, cfg.RetentionDays, cfg.RetentionRuns, cfg.StreamWait, cfg.LocalDataDir,
	}
	want := []any{
		3000, "info", 3306, "cron_jobs", 15 * time.Minute, 7 * 24 * time.Hour,
		[]string{"http://localhost:5173"},
		config.RateLimits{IP: 100, Login: 5, User: 600, Window: 15 * time.Minute},
		false, 30, 100, 10 * time.Second, ".local",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestEveryFaultAtOnceByName(t *testing.T) {
	t.Parallel()
	_, err := config.Parse(config.API, []string{
		"PORT=http", "DB_PORT=70000", "JWT_SECRET=tooshort-s3cret", "JWT_ACCESS_EXPIRY=soon", "CORS_ORIGIN=*",
		"RATE_LIMIT_LOGIN=-1", "EGRESS_ALLOW_CIDRS=10.0.0.0/8,banana", "LOG_LEVEL=loud", "ALLOW_REGISTRATION=perhaps",
		"DB_TLS_CA=skip-verify", "DB_DATABASE=a;b", "ADMIN_PASSWORD=short", "ADMIN_EMAIL=nobody", "RETENTION_DAYS=0", "STREAM_WAIT=1h",
	})
	var faults *config.Error
	if !errors.As(err, &faults) {
		t.Fatalf("error is %T: %v", err, err)
	}
	for _, variable := range []string{
		"PORT", "DB_PORT", "JWT_SECRET", "JWT_ACCESS_EXPIRY", "CORS_ORIGIN", "RATE_LIMIT_LOGIN", "EGRESS_ALLOW_CIDRS", "LOG_LEVEL",
		"ALLOW_REGISTRATION", "DB_TLS_CA", "DB_DATABASE", "ADMIN_PASSWORD", "ADMIN_EMAIL", "RETENTION_DAYS", "STREAM_WAIT",
		"DB_HOST", "QUEUE_FAST_URL", "QUEUE_SLOW_URL",
	} {
		if !slices.ContainsFunc(faults.Faults, func(f string) bool { return strings.HasPrefix(f, variable+": ") }) {
			t.Errorf("no fault names %s:\n%v", variable, err)
		}
	}
	for _, value := range []string{"s3cret", "banana", "perhaps"} {
		if strings.Contains(err.Error(), value) {
			t.Errorf("the error shows a value, %q:\n%v", value, err)
		}
	}
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	for value, ok := range map[string]bool{
		"":                        false,
		" ":                       false,
		"*":                       false,
		"null":                    false,
		"https://a.example, null": false,
		"https://*.example.com":   false,
		"example.com":             false,
		"https://a.example/path":  false,
		"https://user@a.example":  false,
		"https://a.example,":      false,
		"https://a.example":       true,
		"https://a.example/":      true,
		"https://a.example, http://localhost:5173": true,
	} {
		_, err := config.Parse(config.API, enough("CORS_ORIGIN="+value))
		if (err == nil) != ok {
			t.Errorf("CORS_ORIGIN=%q: error %v", value, err)
		}
	}
}

func TestWhatEachProgramNeeds(t *testing.T) {
	t.Parallel()
	for program, ok := range map[config.Program]bool{
		config.Local: true, config.Migrate: false, config.API: false, config.Tick: false, config.Executor: false,
	} {
		if _, err := config.Parse(program, nil); (err == nil) != ok {
			t.Errorf("%s with an empty environment: %v", program, err)
		}
	}
	if _, err := config.Parse(config.Migrate, []string{"DB_HOST=h", "DB_USERNAME=u"}); err != nil {
		t.Errorf("migrate needs only a database: %v", err)
	}
}

func TestSecretsStayHidden(t *testing.T) {
	t.Parallel()
	cfg, err := config.Parse(config.API, enough("DB_PASSWORD=hunter2-hunter2"))
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprintf("%v", cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), string(asJSON)} {
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, "kkkk") {
			t.Errorf("a secret shows: %s", shown)
		}
	}
	if cfg.DB.Password.Reveal() != "hunter2-hunter2" {
		t.Error("Reveal does not return the value")
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"90s": 90 * time.Second, "15m": 15 * time.Minute, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour} {
		if got, err := config.ParseDuration(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "7", "d", "-1d", "1.5d", "1w"} {
		if got, err := config.ParseDuration(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
}

func TestExampleFileNamesEveryVariable(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../.env.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, variable := range config.Variables() {
		if !strings.Contains(string(text), variable+"=") {
			t.Errorf(".env.example does not name %s", variable)
		}
	}
}
