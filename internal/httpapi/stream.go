package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/telemetry"
)

// The stream of the history is server-sent events of which each answer ends by
// itself, as soon as there is news or after a while: where an answer is
// buffered as a whole, one without an end would never arrive. The client asks
// again with the id of the last event, which an EventSource does by itself.
const (
	streamPath = "/history/stream"
	// streamLook is the time between looks for news.
	streamLook = 500 * time.Millisecond
	// streamOverlap is how far before the last event a client is told again:
	// a change may be stored a little after a later one.
	streamOverlap = 2 * time.Second
	// maxEvents is how many events an answer holds before it ends, and
	// maxLooks how many parts of the news it looks through for them. A client
	// asks soon again then.
	maxEvents = 1000
	maxLooks  = 20

	streamRetry      = 3000 // ms
	streamRetryAtEnd = 100
)

type streamInput struct {
	JobID       int64  `query:"jobId" minimum:"1" maximum:"9007199254740991"`
	CategoryID  int64  `query:"categoryId" minimum:"1" maximum:"9007199254740991"`
	Status      string `query:"status" enum:"pending,queued,running,success,failed,skipped,missed,cancelled,abandoned" doc:"Executions that have come to be in this state."`
	Trigger     string `query:"trigger" enum:"schedule,manual,replay"`
	Ticket      string `query:"ticket" maxLength:"2048" doc:"In place of a bearer token, where a header cannot be sent."`
	LastEventID string `header:"Last-Event-ID" pattern:"^[0-9]{1,15}-[0-9]{1,16}$" patternDescription:"the id of an event" doc:"Where to go on; without it the stream begins now."`
}

// streamTicket is the ticket of a request for the stream.
func streamTicket(r *http.Request) (string, bool) {
	if r.Method != http.MethodGet || strings.TrimSuffix(r.URL.Path, "/") != streamPath {
		return "", false
	}
	query := r.URL.Query()
	return query.Get("ticket"), query.Has("ticket")
}

func (s *server) streamHistory(ctx context.Context, in *streamInput) (events, error) {
	q := execution.Query{
		JobID: in.JobID, CategoryID: in.CategoryID, Status: execution.Status(in.Status), Trigger: execution.Trigger(in.Trigger),
	}
	wait := s.StreamWait
	if infoOf(ctx).method == http.MethodHead {
		wait = 0
	}
	if wait > 0 {
		telemetry.LeaveOut(ctx, telemetry.RequestDuration)
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	at := s.resumeAt(in.LastEventID)
	for last := false; ; {
		now := s.now()
		if q.Status == "" {
			q.DueBy = &now
		}
		out, more, err := s.lookForNews(ctx, q, at)
		if err != nil {
			return events{}, err
		}
		if len(out.items) > 0 || more || last {
			out.next, out.more = later(at, execution.Change{UpdatedAt: now}), more
			if more {
				out.next = execution.Change{UpdatedAt: out.seen.UpdatedAt.Add(streamOverlap), ID: out.seen.ID}
			}
			return out, nil
		}
		at = later(at, execution.Change{UpdatedAt: now.Add(-streamOverlap)})
		select {
		case <-ctx.Done():
			return events{}, ctx.Err()
		case <-over.C:
			last = true
		case <-time.After(streamLook):
		}
	}
}

// lookForNews gathers what has changed, up to what an answer holds.
func (s *server) lookForNews(ctx context.Context, q execution.Query, at execution.Change) (out events, more bool, err error) {
	out.seen = at
	for range maxLooks {
		news, err := s.History.News(ctx, q, out.seen)
		if err != nil {
			return events{}, false, err
		}
		out.items, out.seen = append(out.items, news.Executions...), news.Last
		if !news.More {
			return out, false, nil
		}
		if len(out.items) >= maxEvents {
			break
		}
	}
	return out, true, nil
}

// resumeAt is the change that the news follow.
func (s *server) resumeAt(lastEventID string) execution.Change {
	now := execution.Change{UpdatedAt: s.now()}
	if lastEventID == "" {
		return now
	}
	ms, id, _ := strings.Cut(lastEventID, "-")
	at, _ := strconv.ParseInt(ms, 10, 64) // the pattern lets digits pass alone
	after, _ := strconv.ParseInt(id, 10, 64)
	from := time.UnixMilli(at).UTC().Add(-streamOverlap)
	if from.After(now.UpdatedAt) {
		return now
	}
	return execution.Change{UpdatedAt: from, ID: after}
}

func later(a, b execution.Change) execution.Change {
	if a.UpdatedAt.Before(b.UpdatedAt) {
		return b
	}
	return a
}

// events is an answer of server-sent events.
type events struct {
	items []execution.Execution
	seen  execution.Change
	// next is where the client goes on, whatever the events are: an id that
	// comes without an event.
	next execution.Change
	more bool
}

func eventID(c execution.Change) string {
	return fmt.Sprintf("%d-%d", c.UpdatedAt.UnixMilli(), c.ID)
}

func (e events) render(Timestamp) rendered {
	var text bytes.Buffer
	retry := streamRetry
	if e.more {
		retry = streamRetryAtEnd
	}
	fmt.Fprintf(&text, "retry: %d\n\n", retry)
	for _, one := range e.items {
		data, err := encode(newExecutionItem(one))
		if err != nil { // cannot happen: an item holds texts, numbers and times
			continue
		}
		fmt.Fprintf(&text, "id: %s\ndata: %s\n\n", eventID(execution.Change{UpdatedAt: one.UpdatedAt, ID: one.ID}), data)
	}
	fmt.Fprintf(&text, "id: %s\n\n", eventID(e.next))
	whole := text.String()
	return rendered{status: http.StatusOK, text: &whole, media: eventsType}
}

const eventsType = "text/event-stream"

func (events) documents() reflect.Type { return reflect.TypeFor[ExecutionItem]() }

// streams documents what the route answers, and that it takes a ticket.
func streams(o *routeOptions) {
	o.op.Description = "Each answer ends as soon as there is news, or after some seconds, and the client asks again with Last-Event-ID, as a browser's EventSource does. " +
		"The data of an event is an execution as lists show it; one that comes again replaces what was known of it. The last id stands alone and only says where to go on."
	o.media = eventsType
	o.op.Responses = map[string]*huma.Response{"204": {Description: "The ticket has expired: get another. An EventSource does not ask again by itself."}}
}

// streamTicketView is a ticket for the stream.
type streamTicketView struct {
	Ticket    string `json:"ticket"`
	ExpiresIn int64  `json:"expiresIn" example:"900" doc:"In seconds."`
	URL       string `json:"url" doc:"The stream's path with the ticket, to which filters may be added." example:"/history/stream?ticket=…"`
}

func (s *server) issueTicket(ctx context.Context, _ *struct{}) (One[streamTicketView], error) {
	ticket, err := s.Accounts.IssueTicket(principal(ctx))
	if err != nil {
		return One[streamTicketView]{}, err
	}
	return One[streamTicketView]{Data: streamTicketView{
		Ticket: ticket, ExpiresIn: int64(account.TicketLifetime / time.Second), URL: streamPath + "?ticket=" + url.QueryEscape(ticket),
	}}, nil
}
