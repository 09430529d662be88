package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/execution"
)

// AuditLog reads the audit log, and keeps entries of what changes nothing.
type AuditLog interface {
	List(ctx context.Context, q audit.Query) (audit.Page, error)
	Record(ctx context.Context, entry audit.Entry) error
}

// actorOf is who asks, for the audit log.
func actorOf(info *requestInfo) audit.Actor {
	actor := audit.Actor{RequestID: info.id, Address: info.client.Address, At: info.started}
	if who := info.identity; who.known {
		actor.UserID, actor.SessionID = who.principal.User.ID, who.principal.SessionID
		if who.principal.Token != nil {
			actor.TokenID = who.principal.Token.ID
		}
	}
	return actor
}

type listAuditInput struct {
	Paging
	From     time.Time `query:"from" doc:"The earliest time, inclusive."`
	To       time.Time `query:"to" doc:"The latest time, inclusive."`
	UserID   int64     `query:"userId" minimum:"1" maximum:"9007199254740991" doc:"Who did it."`
	Action   string    `query:"action" enum:"auth.login,auth.login_failed,auth.logout,auth.register,auth.refresh_reused,auth.profile_update,auth.password_change,auth.password_failed,auth.session_end,token.create,token.revoke,user.create,user.update,user.deactivate,category.create,category.update,category.delete,job.create,job.update,job.delete,job.pause,job.resume,job.move,job.duplicate,job.import,job.export,job.execute,job.replay,job.signing_key_create,job.signing_key_delete,secret.write,secret.delete,history.delete,audit.export"`
	Entity   string    `query:"entity" enum:"user,session,token,category,job,secret,history,audit" doc:"What it was done to."`
	EntityID int64     `query:"entityId" minimum:"1" maximum:"9007199254740991" doc:"With entity: which one."`
	Cursor   string    `query:"cursor" maxLength:"100" doc:"meta.nextCursor of the page before, with the same filters; in place of page."`
	Accept   string    `header:"Accept" maxLength:"1000" example:"text/csv" doc:"text/csv for a table, of 1,000 entries a call unless limit says otherwise."`
}

// csvEntries is how many entries a table has unless the request says otherwise.
const csvEntries = 1000

// AuditEntryView is an entry of the audit log.
type AuditEntryView struct {
	ID         int64        `json:"id"`
	At         Timestamp    `json:"at"`
	UserID     *int64       `json:"userId" nullable:"true" doc:"Null where nobody was signed in."`
	UserEmail  *string      `json:"userEmail" nullable:"true" doc:"The user's present address."`
	TokenID    *int64       `json:"tokenId" nullable:"true" doc:"The API token that was used."`
	SessionID  *int64       `json:"sessionId" nullable:"true"`
	RequestID  string       `json:"requestId" doc:"The X-Request-Id of the request."`
	Address    string       `json:"address" doc:"Where it came from."`
	Action     audit.Action `json:"action" example:"job.update"`
	Entity     audit.Entity `json:"entity" enum:"user,session,token,category,job,secret,history,audit"`
	EntityID   *int64       `json:"entityId" nullable:"true"`
	EntityName string       `json:"entityName" doc:"As it was then; may be empty."`
	Before     auditFields  `json:"before" doc:"The fields that were changed, as they were; null where there was nothing. Secrets read as ********, values of a URL's query as well; texts of more than 2 KiB are cut, and end in …."`
	After      auditFields  `json:"after" doc:"The same fields as they became."`
}

// auditFields is an object of what changed, by the names of its fields, or null.
type auditFields json.RawMessage

// MarshalJSON gives what was kept as it is.
func (f auditFields) MarshalJSON() ([]byte, error) { return json.RawMessage(f).MarshalJSON() }

// Schema says that any field may be in it.
func (auditFields) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, Nullable: true, AdditionalProperties: true}
}

func newAuditEntryView(e audit.Entry) AuditEntryView {
	return AuditEntryView{
		ID: e.ID, At: Timestamp(e.At), UserID: numberOrNull(e.UserID), UserEmail: textOrNull(e.UserEmail),
		TokenID: numberOrNull(e.TokenID), SessionID: numberOrNull(e.SessionID), RequestID: e.RequestID, Address: e.Address,
		Action: e.Action, Entity: e.Entity, EntityID: numberOrNull(e.EntityID), EntityName: e.EntityName, Before: auditFields(e.Before), After: auditFields(e.After),
	}
}

func numberOrNull(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

func textOrNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// auditList is a page of the log, or a table of a part of it.
type auditList struct {
	data  []AuditEntryView
	meta  HistoryMeta
	table *string
	next  string // the path of the table's next part; "" at the end
}

func (l auditList) render(now Timestamp) rendered {
	if l.table == nil {
		out := renderPage(l.data, l.meta, now)
		out.header = map[string]string{"Vary": "Accept"}
		return out
	}
	header := map[string]string{"Vary": "Accept", "Content-Disposition": `attachment; filename="audit.csv"`}
	if l.next != "" {
		header["Link"] = "<" + l.next + `>; rel="next"`
	}
	return rendered{status: http.StatusOK, text: l.table, media: csvType, header: header}
}

func (auditList) documents() reflect.Type {
	return reflect.TypeFor[Page[AuditEntryView, HistoryMeta]]()
}

func (s *server) listAudit(ctx context.Context, in *listAuditInput) (auditList, error) {
	asTable := prefers(in.Accept, csvType)
	q := audit.Query{
		UserID: in.UserID, Action: audit.Action(in.Action), Entity: audit.Entity(in.Entity), EntityID: in.EntityID,
		Offset: in.Offset(), Limit: in.Limit,
	}
	if !in.From.IsZero() {
		q.From = &in.From
	}
	if !in.To.IsZero() {
		q.To = &in.To
	}
	filters := auditFingerprint(q)
	var faults faultList
	if q.From != nil && q.To != nil && q.To.Before(*q.From) {
		faults.add("to", "must not be before from")
	}
	if q.EntityID != 0 && q.Entity == "" {
		faults.add("entity", "is required with entityId")
	}
	if in.Cursor != "" {
		place, ok := readCursor(in.Cursor, filters)
		if !ok {
			faults.add("cursor", "is not one that this list has given, with these filters")
		}
		if in.Page > 1 {
			faults.add("page", "cannot be combined with cursor")
		}
		q.After = &audit.Place{At: place.ScheduledFor, ID: place.ID}
	}
	if err := faults.err(); err != nil {
		return auditList{}, err
	}
	if asTable {
		return s.auditTable(ctx, q, filters)
	}
	page, err := s.Audit.List(ctx, q)
	if err != nil {
		return auditList{}, err
	}
	if page.TotalIsLowerBound && q.After == nil && q.Offset > audit.MaxOffset {
		return auditList{}, apperr.InvalidField("page", "is too deep; follow meta.nextCursor, or narrow the filters")
	}
	list := auditList{data: make([]AuditEntryView, len(page.Entries)), meta: HistoryMeta{
		Total: page.Total, Page: in.Page, LastPage: lastPage(page.Total, in.Limit), PerPage: in.Limit, TotalIsLowerBound: page.TotalIsLowerBound,
	}}
	for i, e := range page.Entries {
		list.data[i] = newAuditEntryView(e)
	}
	if page.More {
		list.meta.NextCursor = new(auditCursor(page.Entries[len(page.Entries)-1], filters))
	}
	return list, nil
}

// auditFingerprint tells the filters of one list from those of another.
func auditFingerprint(q audit.Query) (filters [8]byte) {
	sum := sha256.Sum256(fmt.Appendf(nil, "audit %v %v %d %q %q %d", q.From, q.To, q.UserID, q.Action, q.Entity, q.EntityID))
	copy(filters[:], sum[:])
	return filters
}

func auditCursor(last audit.Entry, filters [8]byte) string {
	return writeCursor(execution.Place{ScheduledFor: last.At, ID: last.ID}, filters)
}

const csvType = "text/csv"

// auditTable exports a part of the log, and keeps that it was exported. Where
// more follows, the header Link says where.
func (s *server) auditTable(ctx context.Context, q audit.Query, filters [8]byte) (auditList, error) {
	values := url.Values{}
	if asked, err := url.Parse(infoOf(ctx).path); err == nil { // it was parsed before
		values = asked.Query()
	}
	if !values.Has("limit") {
		q.Limit = csvEntries
	}
	if err := s.Audit.Record(ctx, audit.Entry{Action: audit.AuditExport, Entity: audit.Log}); err != nil {
		return auditList{}, err
	}
	page, err := s.Audit.List(ctx, q)
	if err != nil {
		return auditList{}, err
	}
	var out bytes.Buffer
	writer := csv.NewWriter(&out)
	_ = writer.Write([]string{"id", "at", "userId", "userEmail", "tokenId", "sessionId", "requestId", "address", "action", "entity", "entityId", "entityName", "before", "after"})
	list := auditList{}
	for i, e := range page.Entries {
		row := auditRow(e)
		size := 0
		for _, cell := range row {
			size += 2*len(cell) + 3 // a quote is written twice
		}
		writer.Flush()
		if i > 0 && out.Len()+size > maxExport {
			page.More, page.Entries = true, page.Entries[:i]
			break
		}
		_ = writer.Write(row)
	}
	writer.Flush()
	if n := len(page.Entries); page.More && n > 0 {
		values.Del("page")
		values.Set("cursor", auditCursor(page.Entries[n-1], filters))
		list.next = "/audit?" + values.Encode()
	}
	list.table = new(out.String())
	return list, nil
}

func auditRow(e audit.Entry) []string {
	number := func(n int64) string {
		if n == 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	}
	row := []string{
		number(e.ID), e.At.UTC().Format(timestampLayout), number(e.UserID), e.UserEmail, number(e.TokenID), number(e.SessionID),
		e.RequestID, e.Address, string(e.Action), string(e.Entity), number(e.EntityID), e.EntityName, string(e.Before), string(e.After),
	}
	for i, cell := range row {
		row[i] = plainCell(cell)
	}
	return row
}

// plainCell keeps a spreadsheet from taking a text that somebody chose for a
// formula.
func plainCell(cell string) string {
	first, _ := utf8.DecodeRuneInString(cell)
	if cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + cell
	}
	return cell
}

// prefers reports whether a media type comes before JSON in an Accept header.
func prefers(accept, wanted string) bool {
	for one := range strings.SplitSeq(accept, ",") {
		media, params, err := mime.ParseMediaType(one)
		if err != nil || params["q"] == "0" {
			continue
		}
		switch media {
		case wanted:
			return true
		case jsonType, "application/*", "*/*":
			return false
		}
	}
	return false
}

// alsoCSV documents that the answer is had as a table too.
func alsoCSV(o *routeOptions) { o.text = csvType }
