package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// The pauses between looks at a run that somebody waits for: short ones at
// first, for most calls are quick.
const (
	firstLook = 30 * time.Millisecond
	lastLook  = 250 * time.Millisecond
)

// runInput is what routes take that run something and wait for it.
type runInput struct {
	ByID
	Repeatable
	Wait int `query:"wait" default:"20" minimum:"0" maximum:"25" doc:"How many seconds to wait for the outcome."`
}

// executeJob runs a job now, through the same queue as a scheduled run, and
// waits for the outcome. A run that failed is an answer like any other.
func (s *server) executeJob(ctx context.Context, in *runInput) (One[executionView], error) {
	return s.runAndWait(ctx, in, s.Runner.RunNow)
}

// replayExecution makes an execution's call once more, as executeJob makes a
// new one.
func (s *server) replayExecution(ctx context.Context, in *runInput) (One[executionView], error) {
	return s.runAndWait(ctx, in, s.Runner.Replay)
}

func (s *server) runAndWait(ctx context.Context, in *runInput,
	start func(ctx context.Context, id, userID int64) (execution.Execution, error),
) (One[executionView], error) {
	who := principal(ctx).User
	var recorded execution.Execution
	if err := committed(ctx, &recorded); err != nil {
		return One[executionView]{}, err
	}
	if recorded.ID == 0 {
		var err error
		if recorded, err = start(ctx, in.ID, who.ID); err != nil {
			return One[executionView]{}, err
		}
	}
	run, err := s.awaitRun(ctx, recorded.ID, time.Duration(in.Wait)*time.Second)
	if err != nil { // it runs all the same: show what is known of it
		infoOf(ctx).note(err)
		run = recorded
	}
	answer := One[executionView]{Data: newExecutionView(run, who.Role)}
	if !run.Status.Terminal() {
		answer.Status = http.StatusAccepted
		answer.Location = fmt.Sprintf("/history/%d", run.ID)
		answer.Message = "The run is under way; look again under Location."
	}
	return answer, nil
}

// awaitRun looks at a run until it has ended or the time is over, and returns
// it as it then stands. The run exists by now, so a look that fails is only
// tried again: an error would make the client run the job twice.
func (s *server) awaitRun(ctx context.Context, id int64, most time.Duration) (execution.Execution, error) {
	if most > 0 {
		telemetry.LeaveOut(ctx, telemetry.RequestDuration)
	}
	over := time.NewTimer(most)
	defer over.Stop()
	for pause := firstLook; ; pause = min(pause*3/2, lastLook) {
		last := false
		select {
		case <-ctx.Done():
			return execution.Execution{}, ctx.Err()
		case <-over.C:
			last = true
		case <-time.After(pause):
		}
		run, err := s.History.Get(ctx, id)
		if last || err == nil && run.Status.Terminal() {
			return run, err
		}
	}
}

// mayBeAccepted documents that the route also answers 202.
func mayBeAccepted(s *server) option {
	return func(o *routeOptions) {
		schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Success[executionView]](), true, "")
		if o.op.Responses == nil {
			o.op.Responses = map[string]*huma.Response{}
		}
		o.op.Responses[strconv.Itoa(http.StatusAccepted)] = &huma.Response{
			Description: "The run had not ended within the wait; it can be read under Location.",
			Content:     map[string]*huma.MediaType{"application/json": {Schema: schema}},
		}
	}
}
