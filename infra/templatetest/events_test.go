package templatetest_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"github.com/cronjobs/cronjobs/infra/templatetest"
	"github.com/cronjobs/cronjobs/internal/config"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// The sample events are of the very form that AWS sends, so that what
// `sam local invoke` shows holds there too.

func sampleEvents(t *testing.T, function string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "functions", function, "events", "*.json"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no sample events of %s: %v", function, err)
	}
	return paths
}

// decode reads a sample event; a field that the event's type lacks is a fault.
func decode[T any](t *testing.T, path string) T {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var event T
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&event); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return event
}

func TestAPIEvents(t *testing.T) {
	t.Parallel()
	for _, path := range sampleEvents(t, "api") {
		event := decode[events.APIGatewayV2HTTPRequest](t, path)
		if event.Version != "2.0" || event.RouteKey != "$default" || event.RequestContext.Stage != "$default" {
			t.Errorf("%s: version %q, route %q, stage %q", path, event.Version, event.RouteKey, event.RequestContext.Stage)
		}
		if event.RawPath == "" || event.RawPath != event.RequestContext.HTTP.Path || event.RequestContext.HTTP.Method == "" {
			t.Errorf("%s: method %q, paths %q and %q", path, event.RequestContext.HTTP.Method, event.RawPath, event.RequestContext.HTTP.Path)
		}
		for name := range event.Headers {
			if name != strings.ToLower(name) {
				t.Errorf("%s: header %s: HTTP APIs send names in lower case", path, name)
			}
		}
	}
}

func TestTickEvents(t *testing.T) {
	t.Parallel()
	for _, path := range sampleEvents(t, "tick") {
		event := decode[events.EventBridgeEvent](t, path)
		if event.Source != "aws.scheduler" || event.DetailType != "Scheduled Event" || event.Time.IsZero() {
			t.Errorf("%s: source %q, type %q, time %v", path, event.Source, event.DetailType, event.Time)
		}
	}
}

func TestExecutorEvents(t *testing.T) {
	t.Parallel()
	for _, path := range sampleEvents(t, "executor") {
		event := decode[events.SQSEvent](t, path)
		if len(event.Records) == 0 {
			t.Errorf("%s: no records", path)
		}
		for _, record := range event.Records {
			if _, err := execution.ParseChunk(record.Body); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			sum := md5.Sum([]byte(record.Body))
			if want := hex.EncodeToString(sum[:]); record.Md5OfBody != want || record.EventSource != "aws:sqs" {
				t.Errorf("%s: source %q, md5OfBody %s, not %s", path, record.EventSource, record.Md5OfBody, want)
			}
		}
	}
}

func TestMigrateEvents(t *testing.T) {
	t.Parallel()
	for _, path := range sampleEvents(t, "migrate") {
		event := decode[struct {
			Command string `json:"command"`
		}](t, path)
		if event.Command == "" {
			t.Errorf("%s: no command", path)
		}
	}
}

// `sam local` sets a variable only where the template declares it, and the
// programs accept what the example sets.
func TestLocalEnvironmentExample(t *testing.T) {
	t.Parallel()
	example := decode[struct{ Parameters map[string]string }](t, filepath.Join(root, "infra", "env.json.example"))
	var declared []string
	for _, stack := range []*templatetest.Template{resolve(t, application(t), nil), resolve(t, data(t), nil)} {
		for _, id := range functions(stack) {
			environ := []string{"AWS_SAM_LOCAL=true"} // as `sam local` sets it
			for name, value := range variables(stack, id) {
				declared = append(declared, name)
				if local, ok := example.Parameters[name]; ok {
					value = local
				}
				environ = append(environ, name+"="+value)
			}
			if _, err := config.Parse(programs[id], environ); err != nil {
				t.Errorf("%s: %v", id, err)
			}
		}
	}
	for name := range example.Parameters {
		if !slices.Contains(declared, name) {
			t.Errorf("%s is set and no function declares it", name)
		}
	}
}
