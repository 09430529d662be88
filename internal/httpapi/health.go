package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// checkTimeout bounds one health check, so that a database that hangs is seen
// as one that is away.
const checkTimeout = 2 * time.Second

type healthView struct {
	Status  string                 `json:"status" enum:"ok,error"`
	Info    map[string]checkStatus `json:"info" doc:"What is up."`
	Error   map[string]checkStatus `json:"error" doc:"What is down."`
	Details map[string]checkStatus `json:"details" doc:"Both."`
}

type checkStatus struct {
	Status string `json:"status" enum:"up,down"`
}

// unwell is the answer where the database is away: an error that still says
// which checks failed.
type unwell struct {
	ErrorEnvelope
	Data healthView `json:"data"`
}

// healthAnswer is healthy as any other answer, or unwell with 503.
type healthAnswer struct {
	view   healthView
	unwell bool
	path   string
	id     string
}

func (a healthAnswer) render(now Timestamp) rendered {
	if !a.unwell {
		return One[healthView]{Data: a.view}.render(now)
	}
	return rendered{
		status: http.StatusServiceUnavailable,
		header: map[string]string{"Retry-After": strconv.Itoa(int(defaultRetryAfter.Seconds()))},
		envelope: unwell{
			ErrorEnvelope: ErrorEnvelope{
				StatusCode: http.StatusServiceUnavailable, Timestamp: now, Path: a.path, RequestID: a.id,
				Message: "The service is not well.",
			},
			Data: a.view,
		},
	}
}

func (healthAnswer) documents() reflect.Type { return reflect.TypeFor[Success[healthView]]() }

type aliveView struct {
	Status    string    `json:"status" enum:"ok,ready"`
	Timestamp Timestamp `json:"timestamp"`
}

// health answers 503 where the database is away: nothing works without it. A
// queue that is away is shown, and leaves reading possible.
func (s *server) health(ctx context.Context, _ *struct{}) (healthAnswer, error) {
	view := healthView{
		Status:  "ok",
		Info:    map[string]checkStatus{},
		Error:   map[string]checkStatus{},
		Details: map[string]checkStatus{},
	}
	info := infoOf(ctx)
	answer := healthAnswer{path: info.path, id: info.id}
	for _, check := range []struct {
		name     string
		probe    func(context.Context) error
		required bool
	}{
		{"database", s.Health.Database, true},
		{"queue", s.Health.Queue, false},
	} {
		if err := s.probe(ctx, check.name, check.probe); err != nil {
			view.Status = "error"
			view.Error[check.name] = checkStatus{"down"}
			view.Details[check.name] = checkStatus{"down"}
			if check.required {
				answer.unwell = true
			}
			continue
		}
		view.Info[check.name] = checkStatus{"up"}
		view.Details[check.name] = checkStatus{"up"}
	}
	answer.view = view
	return answer, nil
}

func (s *server) probe(ctx context.Context, name string, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := check(ctx)
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "health check failed", slog.String("check", name), slog.Any("error", err))
	}
	return err
}

func (s *server) live(context.Context, *struct{}) (One[aliveView], error) {
	return One[aliveView]{Data: aliveView{Status: "ok", Timestamp: Timestamp(s.now())}}, nil
}

func (s *server) ready(ctx context.Context, _ *struct{}) (One[aliveView], error) {
	if err := s.probe(ctx, "database", s.Health.Database); err != nil {
		return One[aliveView]{}, apperr.Wrap(apperr.Unavailable, err, "The service is not ready.")
	}
	return One[aliveView]{Data: aliveView{Status: "ready", Timestamp: Timestamp(s.now())}}, nil
}
