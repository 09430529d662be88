// Package config turns the environment into one validated structure. It is
// read once, by a main; everything else is handed values. All faults are
// reported at once, by the variable's name, and never with its value.
package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/caarlos0/env/v11"
)

// Program is which program reads the configuration: each needs other parts.
type Program string

// The programs.
const (
	API      Program = "api"
	Tick     Program = "tick"
	Executor Program = "executor"
	Migrate  Program = "migrate"
	Local    Program = "local"
)

// Config is the whole environment. Parts that a program does not need may be
// empty there.
type Config struct {
	// HTTPPort is where the local runner serves the API.
	HTTPPort int    `env:"PORT" envDefault:"3000"`
	LogLevel string `env:"LOG_LEVEL" envDefault:"info"`

	// Environment names the installation, in its metrics.
	Environment string `env:"ENVIRONMENT" envDefault:"local"`

	DB     Database `envPrefix:"DB_"`
	JWT    JWT      `envPrefix:"JWT_"`
	Queues Queues   `envPrefix:"QUEUE_"`
	// Secrets names the key that stored secrets are sealed under.
	Secrets SecretsKey `envPrefix:"SECRETS_"`

	CORSOrigins []string   `env:"CORS_ORIGIN" envDefault:"http://localhost:5173"`
	RateLimits  RateLimits `envPrefix:"RATE_LIMIT_"`

	// EgressAllow are private addresses that jobs may call.
	EgressAllow []netip.Prefix `env:"EGRESS_ALLOW_CIDRS"`

	JobLimits JobLimits `envPrefix:"JOB_"`

	AllowRegistration bool `env:"ALLOW_REGISTRATION" envDefault:"false"`
	RetentionDays     int  `env:"RETENTION_DAYS" envDefault:"30"`
	RetentionRuns     int  `env:"RETENTION_RUNS" envDefault:"100"`
	// SummaryRetentionDays is how long what executions add up to is kept.
	SummaryRetentionDays int `env:"SUMMARY_RETENTION_DAYS" envDefault:"400"`
	// AuditRetentionDays is how long entries of the audit log are kept.
	AuditRetentionDays int           `env:"AUDIT_RETENTION_DAYS" envDefault:"365"`
	StreamWait         time.Duration `env:"STREAM_WAIT" envDefault:"10s"`

	// AdminEmail and AdminPassword are the first administrator's; the secret of
	// AdminSecretARN holds both where they are not set.
	AdminEmail     string `env:"ADMIN_EMAIL"`
	AdminPassword  Secret `env:"ADMIN_PASSWORD"`
	AdminSecretARN string `env:"ADMIN_SECRET_ARN"`

	// TickFunctionName is the function that the API invokes when a write left
	// due work behind; empty where there is none.
	TickFunctionName string `env:"TICK_FUNCTION_NAME"`

	// LocalDataDir and LocalDatabase concern the local runner alone.
	LocalDataDir  string `env:"LOCAL_DATA_DIR" envDefault:".local"`
	LocalDatabase string `env:"LOCAL_DATABASE" envDefault:"auto"`
}

// Database says where the database is.
type Database struct {
	Host     string `env:"HOST"`
	Port     int    `env:"PORT" envDefault:"3306"`
	Username string `env:"USERNAME"`
	Password Secret `env:"PASSWORD"`
	Name     string `env:"DATABASE" envDefault:"cron_jobs"`
	// SecretARN names the secret that holds user and password where Username is
	// not set; AdminSecretARN that of the server's master, by which migrations
	// are made.
	SecretARN      string `env:"SECRET_ARN"`
	AdminSecretARN string `env:"ADMIN_SECRET_ARN"`
	// TLSCA is one of the words below or a file of certificate authorities. Set
	// to nothing it is TLSRDS, and in the local runner TLSOff.
	TLSCA string `env:"TLS_CA"`
}

// What DB_TLS_CA may be beside a file.
const (
	TLSRDS        = "rds"         // RDS's own authorities, which are built in
	TLSSystem     = "system"      // those that the machine trusts, for RDS Proxy
	TLSSkipVerify = "skip-verify" // whoever answers; local alone
	TLSOff        = "off"         // no encryption; local alone
)

// JWT holds the keys and lifetimes of tokens.
type JWT struct {
	Secret         Secret        `env:"SECRET"`
	SecretPrevious Secret        `env:"SECRET_PREVIOUS"`
	SecretARN      string        `env:"SECRET_ARN"`
	AccessExpiry   time.Duration `env:"ACCESS_EXPIRY" envDefault:"15m"`
	RefreshExpiry  time.Duration `env:"REFRESH_EXPIRY" envDefault:"7d"`
}

// SecretsKey is the master key of stored secrets: in KMS, or in a file. Without
// one, nothing secret can be stored or sent. The previous one opens what was
// stored under it and seals nothing, so that a rotation can move it all.
type SecretsKey struct {
	KeyARN          string `env:"KEY_ARN"`
	KeyFile         string `env:"KEY_FILE"`
	PreviousKeyARN  string `env:"PREVIOUS_KEY_ARN"`
	PreviousKeyFile string `env:"PREVIOUS_KEY_FILE"`
}

// Named reports whether there is a master key to seal under.
func (k SecretsKey) Named() bool { return k.KeyARN != "" || k.KeyFile != "" }

// Queues are the addresses of the two lanes. Endpoint is set where the queue
// is not AWS's own.
type Queues struct {
	FastURL  string `env:"FAST_URL"`
	SlowURL  string `env:"SLOW_URL"`
	Endpoint string `env:"ENDPOINT"`
}

// RateLimits count requests in a window; 0 switches one off.
type RateLimits struct {
	IP     int           `env:"IP" envDefault:"100"`
	Login  int           `env:"LOGIN" envDefault:"5"`
	User   int           `env:"USER" envDefault:"600"`
	Window time.Duration `env:"WINDOW" envDefault:"15m"`
}

// JobLimits are the rules by which jobs that fail or hang for ever are stopped.
type JobLimits struct {
	FailedAfter  int           `env:"FAILED_AFTER" envDefault:"20"`
	FailedSpan   time.Duration `env:"FAILED_SPAN" envDefault:"24h"`
	StopWhenGone bool          `env:"STOP_WHEN_GONE" envDefault:"true"`
	MaxRunning   int           `env:"MAX_RUNNING" envDefault:"20"`
}

// Secret is a string that never shows itself.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "[redacted]"
}

// GoString hides the value from %#v.
func (s Secret) GoString() string { return strconv.Quote(s.String()) }

// MarshalText hides the value from JSON and from structured logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the value.
func (s Secret) Reveal() string { return string(s) }

// Error lists every fault of the environment.
type Error struct{ Faults []string }

// Error names the faults, a line each.
func (e *Error) Error() string {
	return "configuration is not valid:\n  " + strings.Join(e.Faults, "\n  ")
}

// emptyCounts are the variables for which being set to nothing differs from
// not being set.
var emptyCounts = []string{"DB_PASSWORD", "CORS_ORIGIN"}

// Parse reads and validates what program needs from an environment in the form
// of os.Environ. The error is an *Error.
func Parse(program Program, environ []string) (Config, error) {
	vars := map[string]string{}
	var faults []string
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if name == "CORS_ORIGIN" && strings.TrimSpace(value) == "" {
			faults = append(faults, "CORS_ORIGIN: must name at least one origin, such as https://app.example.com")
			continue
		}
		if value != "" || slices.Contains(emptyCounts, name) {
			vars[name] = value
		}
	}

	var cfg Config
	err := env.ParseWithOptions(&cfg, env.Options{
		Environment: vars,
		FuncMap: map[reflect.Type]env.ParserFunc{
			reflect.TypeFor[time.Duration](): func(s string) (any, error) { return ParseDuration(s) },
			reflect.TypeFor[netip.Prefix]():  func(s string) (any, error) { return netip.ParsePrefix(strings.TrimSpace(s)) },
		},
	})
	faults = append(faults, parseFaults(err)...)
	faults = append(faults, cfg.check(program, program == Local || vars["AWS_SAM_LOCAL"] == "true", faults)...)
	if len(faults) > 0 {
		slices.Sort(faults)
		return Config{}, &Error{Faults: slices.Compact(faults)}
	}
	return cfg, nil
}

// parseFaults names the variables whose text does not parse, by what they take.
func parseFaults(err error) []string {
	if err == nil {
		return nil
	}
	var aggregate env.AggregateError
	if !errors.As(err, &aggregate) {
		return []string{err.Error()}
	}
	var faults []string
	for _, one := range aggregate.Errors {
		var parse env.ParseError
		if !errors.As(one, &parse) {
			faults = append(faults, one.Error())
			continue
		}
		known, ok := variableOf[parse.Name]
		if !ok {
			known = parse.Name
		}
		faults = append(faults, fmt.Sprintf("%s: %s", known, takes(parse.Type)))
	}
	return faults
}

// variables are the fields that are read and the variables that fill them.
var variables = fieldVariables(reflect.TypeFor[Config](), "")

// variableOf maps field names, which the parser reports, to variables. Fields
// that can fail to parse have names of their own.
var variableOf = func() map[string]string {
	known := map[string]string{}
	for _, v := range variables {
		known[v.field] = v.variable
	}
	return known
}()

type fieldVariable struct{ field, variable string }

func fieldVariables(t reflect.Type, prefix string) []fieldVariable {
	var all []fieldVariable
	for field := range t.Fields() {
		if nested := field.Tag.Get("envPrefix"); nested != "" {
			all = append(all, fieldVariables(field.Type, prefix+nested)...)
			continue
		}
		all = append(all, fieldVariable{field.Name, prefix + field.Tag.Get("env")})
	}
	return all
}

func takes(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "must be a duration such as 90s, 15m, 12h or 7d"
	case reflect.TypeFor[netip.Prefix](), reflect.TypeFor[[]netip.Prefix]():
		return "must be a comma-separated list of networks such as 10.0.0.0/8"
	case reflect.TypeFor[bool]():
		return "must be true or false"
	case reflect.TypeFor[int]():
		return "must be a whole number"
	default:
		return "is not valid"
	}
}

// Variables lists every variable that is read.
func Variables() []string {
	var all []string
	for _, v := range variables {
		all = append(all, v.variable)
	}
	slices.Sort(all)
	return all
}

// MinKeyBytes is the shortest key that may sign tokens.
const MinKeyBytes = 32

// check finds what does not parse wrongly but is wrong. local is the local runner
// or `sam local`, where nothing needs to be kept from anyone.
func (c *Config) check(program Program, local bool, already []string) []string {
	var faults []string
	named := func(variable string) bool {
		return slices.ContainsFunc(already, func(f string) bool { return strings.HasPrefix(f, variable+":") })
	}
	fault := func(variable, format string, args ...any) {
		if !named(variable) {
			faults = append(faults, variable+": "+fmt.Sprintf(format, args...))
		}
	}
	between := func(variable string, value, low, high int) {
		if value < low || value > high {
			fault(variable, "must be from %d to %d", low, high)
		}
	}

	between("PORT", c.HTTPPort, 1, 65535)
	between("DB_PORT", c.DB.Port, 1, 65535)
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		fault("LOG_LEVEL", "must be debug, info, warn or error")
	}
	if !validName(c.DB.Name) {
		fault("DB_DATABASE", "must be 1 to 64 letters, digits, _ or -")
	}
	if !validName(c.Environment) {
		fault("ENVIRONMENT", "must be 1 to 64 letters, digits, _ or -")
	}
	onAWS := program != Local
	if onAWS && c.DB.Host == "" {
		fault("DB_HOST", "is required: the name or address of the database")
	}
	if c.DB.Host != "" && c.DB.Username == "" && c.DB.SecretARN == "" && (program != Migrate || c.DB.AdminSecretARN == "") {
		fault("DB_USERNAME", "is required with DB_HOST (or DB_SECRET_ARN)")
	}
	if !local && (c.DB.TLSCA == TLSSkipVerify || c.DB.TLSCA == TLSOff) {
		fault("DB_TLS_CA", "%s and %s are for the local runner and sam local alone", TLSSkipVerify, TLSOff)
	}
	switch {
	case c.DB.TLSCA == "" && program == Local:
		c.DB.TLSCA = TLSOff
	case c.DB.TLSCA == "":
		c.DB.TLSCA = TLSRDS
	}

	if program == API && c.JWT.Secret == "" && c.JWT.SecretARN == "" {
		fault("JWT_SECRET", "is required: at least %d bytes (or JWT_SECRET_ARN)", MinKeyBytes)
	}
	for variable, key := range map[string]Secret{"JWT_SECRET": c.JWT.Secret, "JWT_SECRET_PREVIOUS": c.JWT.SecretPrevious} {
		if key != "" && len(key) < MinKeyBytes {
			fault(variable, "must be at least %d bytes long", MinKeyBytes)
		}
	}
	if c.Secrets.KeyARN != "" && c.Secrets.KeyFile != "" {
		fault("SECRETS_KEY_FILE", "must not be set beside SECRETS_KEY_ARN")
	}
	if c.Secrets.PreviousKeyARN != "" && c.Secrets.PreviousKeyFile != "" {
		fault("SECRETS_PREVIOUS_KEY_FILE", "must not be set beside SECRETS_PREVIOUS_KEY_ARN")
	}
	positive := func(variable string, d, most time.Duration) {
		if d <= 0 || d > most {
			fault(variable, "must be longer than 0 and at most %s", days(most))
		}
	}
	positive("JWT_ACCESS_EXPIRY", c.JWT.AccessExpiry, 24*time.Hour)
	positive("JWT_REFRESH_EXPIRY", c.JWT.RefreshExpiry, 30*24*time.Hour)
	positive("RATE_LIMIT_WINDOW", c.RateLimits.Window, 24*time.Hour)
	positive("STREAM_WAIT", c.StreamWait, 25*time.Second)

	c.CORSOrigins = checkOrigins(c.CORSOrigins, fault)
	for variable, limit := range map[string]int{
		"RATE_LIMIT_IP": c.RateLimits.IP, "RATE_LIMIT_LOGIN": c.RateLimits.Login, "RATE_LIMIT_USER": c.RateLimits.User,
	} {
		if limit < 0 {
			fault(variable, "must be 0 (off) or more")
		}
	}
	between("JOB_FAILED_AFTER", c.JobLimits.FailedAfter, 0, 100_000)
	between("JOB_MAX_RUNNING", c.JobLimits.MaxRunning, 0, 100_000)
	if span := c.JobLimits.FailedSpan; span < 0 || span > 365*24*time.Hour {
		fault("JOB_FAILED_SPAN", "must be at least 0s and at most %s", days(365*24*time.Hour))
	}
	between("RETENTION_DAYS", c.RetentionDays, 1, 3650)
	between("SUMMARY_RETENTION_DAYS", c.SummaryRetentionDays, 1, 3650)
	between("AUDIT_RETENTION_DAYS", c.AuditRetentionDays, 1, 3650)
	between("RETENTION_RUNS", c.RetentionRuns, 1, 100_000)

	if onAWS && program != Migrate {
		for variable, address := range map[string]string{"QUEUE_FAST_URL": c.Queues.FastURL, "QUEUE_SLOW_URL": c.Queues.SlowURL} {
			if u, err := url.Parse(address); err != nil || u.Host == "" {
				fault(variable, "is required: the URL of the queue")
			}
		}
	}
	if n := utf8.RuneCountInString(c.AdminPassword.Reveal()); n > 0 && (n < 8 || n > 128) {
		fault("ADMIN_PASSWORD", "must be 8 to 128 characters long")
	}
	if c.AdminEmail != "" && !strings.Contains(strings.Trim(c.AdminEmail, "@ "), "@") {
		fault("ADMIN_EMAIL", "must be an e-mail address")
	}
	if !slices.Contains([]string{"auto", "server", "embedded"}, c.LocalDatabase) {
		fault("LOCAL_DATABASE", "must be auto, server or embedded")
	}
	return faults
}

// checkOrigins wants exact origins: scheme and host, no path, no wildcard,
// which with credentials would open the API to every page.
func checkOrigins(origins []string, fault func(variable, format string, args ...any)) []string {
	var exact []string
	for _, origin := range origins {
		origin = strings.TrimSuffix(strings.TrimSpace(origin), "/")
		u, err := url.Parse(origin)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil ||
			u.Path != "" || u.RawQuery != "" || u.Fragment != "" || strings.Contains(origin, "*") {
			fault("CORS_ORIGIN", "must be a comma-separated list of exact origins such as https://app.example.com")
			return nil
		}
		exact = append(exact, strings.ToLower(origin))
	}
	return exact
}

func validName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	return strings.IndexFunc(name, func(r rune) bool {
		return !(r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}) < 0
}

// ParseDuration reads Go's durations and, besides, whole days ("7d").
func ParseDuration(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if number, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(number, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("not a number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 && d > 24*time.Hour {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}
