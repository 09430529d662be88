package httpapi

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"reflect"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// HistoryFilter is what both lists of executions take.
type HistoryFilter struct {
	Paging
	Search
	Order
	SortBy     string    `query:"sortBy" enum:"scheduledFor" doc:"Newest first, unless sortOrder says otherwise."`
	CategoryID int64     `query:"categoryId" minimum:"1" maximum:"9007199254740991"`
	Status     string    `query:"status" enum:"pending,queued,running,success,failed,skipped,missed,cancelled,abandoned" doc:"Runs are recorded some minutes ahead. Those that are not due yet are listed only where a status or to is given."`
	Trigger    string    `query:"trigger" enum:"schedule,manual,replay"`
	From       time.Time `query:"from" doc:"The earliest scheduledFor, inclusive."`
	To         time.Time `query:"to" doc:"The latest scheduledFor, inclusive."`
	Cursor     string    `query:"cursor" maxLength:"100" doc:"meta.nextCursor of the page before, with the same filters; in place of page."`
}

type listHistoryInput struct {
	HistoryFilter
	JobID int64 `query:"jobId" minimum:"1" maximum:"9007199254740991"`
}

type listJobHistoryInput struct {
	ByID
	HistoryFilter
}

func (s *server) listHistory(ctx context.Context, in *listHistoryInput) (historyList, error) {
	return s.history(ctx, in.JobID, in.HistoryFilter)
}

func (s *server) listJobHistory(ctx context.Context, in *listJobHistoryInput) (historyList, error) {
	if _, err := s.Jobs.Get(ctx, in.ID); err != nil {
		return historyList{}, err
	}
	return s.history(ctx, in.ID, in.HistoryFilter)
}

// searchWindow is how wide a span of time may be for a search to look into the
// texts of errors, which no index helps with.
const searchWindow = 24 * time.Hour

func (s *server) history(ctx context.Context, jobID int64, f HistoryFilter) (historyList, error) {
	q := execution.Query{
		JobID: jobID, CategoryID: f.CategoryID,
		Status: execution.Status(f.Status), Trigger: execution.Trigger(f.Trigger),
		Search: f.Text(), Oldest: !f.Descending(true),
		Offset: f.Offset(), Limit: f.Limit,
	}
	if !f.From.IsZero() {
		q.From = &f.From
	}
	if !f.To.IsZero() {
		q.To = &f.To
	}
	end := s.now()
	if q.Status == "" && q.To == nil {
		q.DueBy = &end
	}
	if q.To != nil {
		end = *q.To
	}
	q.SearchErrors = jobID != 0 || q.From != nil && end.Sub(*q.From) <= searchWindow

	filters := fingerprint(q)
	var faults faultList
	if q.From != nil && q.To != nil && q.To.Before(*q.From) {
		faults.add("to", "must not be before from")
	}
	if f.Cursor != "" {
		place, ok := readCursor(f.Cursor, filters)
		if !ok {
			faults.add("cursor", "is not one that this list has given, with these filters")
		}
		if f.Page > 1 {
			faults.add("page", "cannot be combined with cursor")
		}
		q.After = &place
	}
	if err := faults.err(); err != nil {
		return historyList{}, err
	}
	page, err := s.History.List(ctx, q)
	if err != nil {
		return historyList{}, err
	}
	if page.TooDeep {
		return historyList{}, apperr.InvalidField("page", "is too deep; follow meta.nextCursor, or narrow the filters")
	}
	return newHistoryList(page, f.Paging, filters), nil
}

// HistoryMeta is Meta with a cursor, and a total that may be a lower bound.
type HistoryMeta struct {
	Total             int64   `json:"total"`
	Page              int     `json:"page" example:"1"`
	LastPage          int64   `json:"lastPage"`
	PerPage           int     `json:"perPage" example:"10"`
	TotalIsLowerBound bool    `json:"totalIsLowerBound,omitempty" doc:"True where there are more than total: counting stops at 10,000."`
	NextCursor        *string `json:"nextCursor" nullable:"true" doc:"Null at the end."`
}

// historyList is a List whose meta says more.
type historyList struct {
	data []ExecutionItem
	meta HistoryMeta
}

func (l historyList) render(now Timestamp) rendered { return renderPage(l.data, l.meta, now) }

func (historyList) documents() reflect.Type {
	return reflect.TypeFor[Page[ExecutionItem, HistoryMeta]]()
}

func newHistoryList(page execution.Page, paging Paging, filters [8]byte) historyList {
	list := historyList{data: make([]ExecutionItem, len(page.Executions)), meta: HistoryMeta{
		Total: page.Total, Page: paging.Page, LastPage: lastPage(page.Total, paging.Limit), PerPage: paging.Limit,
		TotalIsLowerBound: page.TotalIsLowerBound,
	}}
	for i, e := range page.Executions {
		list.data[i] = newExecutionItem(e)
	}
	if n := len(page.Executions); page.More && n > 0 {
		last := page.Executions[n-1]
		cursor := writeCursor(execution.Place{ScheduledFor: last.ScheduledFor, ID: last.ID}, filters)
		list.meta.NextCursor = &cursor
	}
	return list
}

// fingerprint tells the filters of one list from those of another, whatever
// page of it is asked for.
func fingerprint(q execution.Query) (filters [8]byte) {
	instant := func(t *time.Time) int64 {
		if t == nil {
			return -1
		}
		return t.UnixMilli()
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %q %q %d %d %q %t", q.JobID, q.CategoryID, q.Status, q.Trigger,
		instant(q.From), instant(q.To), q.Search, q.Oldest))
	copy(filters[:], sum[:])
	return filters
}

// writeCursor names a place: its instant, its id, and the filters that it is
// good for.
func writeCursor(p execution.Place, filters [8]byte) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(p.ScheduledFor.UnixMilli()))
	raw = binary.BigEndian.AppendUint64(raw, uint64(p.ID))
	return base64.RawURLEncoding.EncodeToString(append(raw, filters[:]...))
}

func readCursor(cursor string, filters [8]byte) (execution.Place, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) != 24 || [8]byte(raw[16:]) != filters {
		return execution.Place{}, false
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(raw))).UTC()
	id := int64(binary.BigEndian.Uint64(raw[8:]))
	// The years that a DATETIME holds.
	return execution.Place{ScheduledFor: at, ID: id}, id > 0 && at.Year() >= 1000 && at.Year() <= 9999
}

func (s *server) getExecution(ctx context.Context, in *ByID) (One[executionView], error) {
	e, err := s.History.Get(ctx, in.ID)
	if err != nil {
		return One[executionView]{}, err
	}
	return One[executionView]{Data: newExecutionView(e, principal(ctx).User.Role)}, nil
}
