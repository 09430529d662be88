package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/job"
)

// RecordID is the number of a record in a body.
type RecordID int64

// Schema documents, and thereby checks, which numbers there are.
func (RecordID) Schema(huma.Registry) *huma.Schema {
	lowest, highest := 1.0, float64(MaxID)
	return &huma.Schema{Type: huma.TypeInteger, Format: "int64", Minimum: &lowest, Maximum: &highest}
}

type changeJobsInput struct {
	Repeatable
	Body changeJobsBody
}

type changeJobsBody struct {
	Action     job.BulkAction     `json:"action" enum:"pause,resume,delete,move" example:"move"`
	IDs        []RecordID         `json:"ids" minItems:"1" maxItems:"500" uniqueItems:"true" doc:"The jobs, each once."`
	CategoryID Optional[RecordID] `json:"categoryId,omitzero" doc:"The category to move the jobs to; required there, and a fault elsewhere."`
}

func (b changeJobsBody) bulk() job.Bulk {
	bulk := job.Bulk{Action: b.Action, IDs: make([]int64, len(b.IDs)), CategoryID: int64(b.CategoryID.Or(0))}
	for i, id := range b.IDs {
		bulk.IDs[i] = int64(id)
	}
	return bulk
}

// CheckRestIn finds the faults of the domain in a form that is at fault.
func (in *changeJobsInput) CheckRestIn(ctx context.Context, s *server) error {
	bulk := in.Body.bulk()
	return orWithoutStore(s.Jobs.CheckMany(ctx, bulk), bulk.Check)
}

// changedJobs is what became of many jobs.
type changedJobs struct {
	Succeeded int         `json:"succeeded"`
	Failed    int         `json:"failed"`
	Results   []jobResult `json:"results" doc:"In the order of the ids."`
}

type jobResult struct {
	ID         int64  `json:"id"`
	OK         bool   `json:"ok"`
	StatusCode int    `json:"statusCode" example:"200" doc:"What a request for this job alone would have answered."`
	Message    string `json:"message" example:"The job is paused."`
}

// bulkDone is what is told of a job that an action was done to.
var bulkDone = map[job.BulkAction]string{
	job.BulkPause:  "The job is paused.",
	job.BulkResume: "The job is active.",
	job.BulkDelete: "The job has been deleted; its history stays.",
	job.BulkMove:   "The job is in the category.",
}

func (s *server) changeJobs(ctx context.Context, in *changeJobsInput) (One[changedJobs], error) {
	bulk := in.Body.bulk()
	if err := committed(ctx, &bulk.Done); err != nil {
		return One[changedJobs]{}, err
	}
	outcomes, err := s.Jobs.ChangeMany(ctx, bulk)
	if err != nil {
		return One[changedJobs]{}, err
	}
	answer := changedJobs{Results: make([]jobResult, len(outcomes))}
	for i, o := range outcomes {
		result := jobResult{ID: o.ID, OK: o.Err == nil, StatusCode: http.StatusOK, Message: bulkDone[in.Body.Action]}
		if o.Err == nil {
			answer.Succeeded++
		} else {
			answer.Failed++
			result.StatusCode, result.Message = s.tellFailure(ctx, o.Err)
		}
		answer.Results[i] = result
	}
	return One[changedJobs]{Data: answer}, nil
}

// tellFailure is the status and the message of a failure that is a part of an
// answer. What is not shown is logged.
func (s *server) tellFailure(ctx context.Context, err error) (status int, message string) {
	coded := codedError(err)
	status, message = statuses[coded.Code], coded.Message
	if status >= http.StatusInternalServerError {
		infoOf(ctx).note(errors.Join(infoOf(ctx).hidden, err))
		s.log.LogAttrs(ctx, slog.LevelError, "part of a request failed",
			slog.String("requestId", infoOf(ctx).id), slog.Int("status", status), slog.Any("error", err))
	}
	if coded.Code == apperr.Invalid && len(coded.Fields) > 0 {
		message = coded.Fields[0].Name + " " + coded.Fields[0].Message
	}
	return status, message
}
