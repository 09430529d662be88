package runtimeapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/cronjobs/cronjobs/infra/local/runtimeapi"
)

// The test binary is the function as well: it serves events where it is told to.
const asFunction = "RUNTIMEAPI_TEST_FUNCTION"

type asked struct {
	Fail   string
	Length int
}

type told struct {
	ID, ARN, Trace string
	LeftMs         int64
	Filling        string
}

func TestMain(m *testing.M) {
	if os.Getenv(asFunction) == "" {
		os.Exit(m.Run())
	}
	lambda.Start(func(ctx context.Context, event asked) (told, error) {
		if event.Fail != "" {
			return told{}, errors.New(event.Fail)
		}
		invocation, _ := lambdacontext.FromContext(ctx)
		deadline, _ := ctx.Deadline()
		trace, _ := ctx.Value("x-amzn-trace-id").(string)
		return told{
			ID: invocation.AwsRequestID, ARN: invocation.InvokedFunctionArn, Trace: trace,
			LeftMs: time.Until(deadline).Milliseconds(), Filling: strings.Repeat("a", event.Length),
		}, nil
	})
}

// function starts the function; the context ends when its process does.
func function(t *testing.T) (*runtimeapi.Server, context.Context) {
	t.Helper()
	api, err := runtimeapi.Start()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("30 s are over"))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(ctx, self)
	command.Env = append(os.Environ(), asFunction+"=yes", "AWS_LAMBDA_RUNTIME_API="+api.Address())
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		end(fmt.Errorf("the function ended: %w", command.Wait()))
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		_ = api.Close()
	})
	return api, ended
}

func TestAFunctionServesEvents(t *testing.T) {
	t.Parallel()
	api, ctx := function(t)
	if err := api.AwaitReady(ctx); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"first", "second"} {
		answer, err := api.Invoke(ctx, runtimeapi.Event{
			Payload: []byte(`{"length":3}`), ID: id, ARN: "arn:aws:lambda:us-east-1:000000000000:function:f", Trace: "Root=1-" + id,
			Deadline: time.Now().Add(time.Minute),
		})
		if err != nil {
			t.Fatal(err)
		}
		var got told
		if err := json.Unmarshal(answer, &got); err != nil {
			t.Fatal(err)
		}
		if got.LeftMs < 50_000 || got.LeftMs > 60_000 {
			t.Errorf("%d ms are left of a minute", got.LeftMs)
		}
		got.LeftMs = 0
		want := told{ID: id, ARN: "arn:aws:lambda:us-east-1:000000000000:function:f", Trace: "Root=1-" + id, Filling: "aaa"}
		if got != want {
			t.Errorf("the function was told %+v, not %+v", got, want)
		}
	}
}

func TestAFailureIsNoAnswer(t *testing.T) {
	t.Parallel()
	api, ctx := function(t)
	_, err := api.Invoke(ctx, runtimeapi.Event{Payload: []byte(`{"fail":"no such table"}`)})
	var failed *runtimeapi.FunctionError
	if !errors.As(err, &failed) || failed.Message != "no such table" || failed.Type == "" {
		t.Fatalf("err = %v", err)
	}
	// It goes on to serve.
	if _, err := api.Invoke(ctx, runtimeapi.Event{Payload: []byte(`{}`)}); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerThatIsTooLong(t *testing.T) {
	t.Parallel()
	api, ctx := function(t)
	_, err := api.Invoke(ctx, runtimeapi.Event{Payload: fmt.Appendf(nil, `{"length":%d}`, runtimeapi.MaxAnswer), Deadline: time.Now().Add(time.Minute)})
	var failed *runtimeapi.FunctionError
	if !errors.As(err, &failed) || failed.Type != "Function.ResponseSizeTooLarge" {
		t.Fatalf("err = %v", err)
	}
}

func TestAFunctionThatEndsAnswersNothing(t *testing.T) {
	t.Parallel()
	api, err := runtimeapi.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Close() }()
	gone := errors.New("exit status 1")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if err := api.AwaitReady(ctx); !errors.Is(err, gone) {
		t.Errorf("ready: %v", err)
	}
	if _, err := api.Invoke(ctx, runtimeapi.Event{}); !errors.Is(err, gone) {
		t.Errorf("invoke: %v", err)
	}
}

func TestAStartThatFailsIsTold(t *testing.T) {
	t.Parallel()
	api, err := runtimeapi.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = api.Close() }()
	post := func(path, body string) int {
		answer, err := http.Post("http://"+api.Address()+"/2018-06-01/runtime/"+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	if status := post("init/error", `{"errorType":"Runtime.NoSecret","errorMessage":"no secret"}`); status != http.StatusAccepted {
		t.Errorf("status %d", status)
	}
	var failed *runtimeapi.FunctionError
	if err := api.AwaitReady(t.Context()); !errors.As(err, &failed) || *failed != (runtimeapi.FunctionError{Type: "Runtime.NoSecret", Message: "no secret"}) {
		t.Errorf("err = %v", err)
	}
	if status := post("invocation/unknown/response", `{}`); status != http.StatusBadRequest {
		t.Errorf("an answer to nothing: status %d", status)
	}
}
