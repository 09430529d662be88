package mysql

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/audit"
)

// Audit reads the audit log, and keeps entries that tell of no change.
type Audit struct{ db *sql.DB }

// NewAudit makes it on a pool that Open made.
func NewAudit(db *sql.DB) *Audit { return &Audit{db: db} }

// Record keeps an entry of its own: of a failed sign-in, say, or an export.
func (s *Audit) Record(ctx context.Context, entry audit.Entry) error {
	return retried(ctx, func() error { return record(ctx, s.db, entry) })
}

// Record keeps an entry of its own.
func (s *Accounts) Record(ctx context.Context, entry audit.Entry) error {
	return (&Audit{s.db}).Record(ctx, entry)
}

var errNoAction = errors.New("mysql: a change that nobody has named for the audit log")

// record writes entries in the transaction of the change that they tell of, one
// statement for all; nothing where no actor stands behind the change. Every
// store method that people's changes go through calls it, after its last
// statement that may be refused.
func record(ctx context.Context, q querier, entries ...audit.Entry) error {
	actor, acted := audit.ActorOf(ctx)
	if !acted || len(entries) == 0 {
		return nil
	}
	rows := make([]goqu.Record, len(entries))
	for i, e := range entries {
		if e.Action == "" {
			e.Action = audit.ActionOf(ctx)
		}
		if e.Action == "" {
			return errNoAction
		}
		if actor.UserID != 0 { // else the entry may know: see audit.Unsigned
			e.UserID, e.SessionID = actor.UserID, actor.SessionID
		}
		rows[i] = goqu.Record{
			"at": utc(actor.At), "user_id": idOrNull(e.UserID), "token_id": idOrNull(actor.TokenID), "session_id": idOrNull(e.SessionID),
			"request_id": actor.RequestID, "address": cut(actor.Address, 45), "action": string(e.Action),
			"entity": string(e.Entity), "entity_id": idOrNull(e.EntityID), "entity_name": cut(e.EntityName, 300),
			"before_json": auditText(e.Before), "after_json": auditText(e.After),
		}
	}
	return insertRows(ctx, q, "audit_log", rows, nil)
}

func auditText(text []byte) any {
	if text == nil {
		return nil
	}
	return string(text)
}

// maxPassed is how many entries a count passes over at most.
const maxPassed = 100_000

// List reads a page of the log, newest first. It reads along the index of the
// narrowest filters, and counts up to maxCounted.
func (s *Audit) List(ctx context.Context, q audit.Query) (audit.Page, error) {
	if q.Action != "" && q.Entity != "" && q.Entity != q.Action.Of() {
		return audit.Page{}, nil // else all of the action would be passed over
	}
	f := auditFilter(q)
	page, err := s.count(ctx, f)
	if err != nil {
		return audit.Page{}, translate(err)
	}
	all := strings.Join(slices.Concat(f.walked.text, f.passed.text, []string{"TRUE"}), " AND ")
	args, offset := slices.Concat(f.walked.args, f.passed.args), q.Offset
	if p := q.After; p != nil {
		at := utc(p.At)
		all += " AND a.at <= ? AND (a.at < ? OR a.id < ?)"
		args, offset = append(args, at, at, p.ID), 0
	} else if !page.TotalIsLowerBound && int64(offset) >= page.Total || page.TotalIsLowerBound && offset > audit.MaxOffset {
		return page, nil
	}
	page.Entries, err = queryAllSQL(ctx, s.db, scanEntry, `SELECT l.id, l.at, l.user_id, u.email, l.token_id, l.session_id, l.request_id, l.address,
			l.action, l.entity, l.entity_id, l.entity_name, l.before_json, l.after_json
		FROM (SELECT a.id FROM `+f.from()+" WHERE "+all+` ORDER BY a.at DESC, a.id DESC LIMIT ? OFFSET ?) AS t
		STRAIGHT_JOIN audit_log l ON l.id = t.id LEFT JOIN users u ON u.id = l.user_id ORDER BY l.at DESC, l.id DESC`,
		append(args, q.Limit+1, offset)...)
	if page.More = len(page.Entries) > q.Limit; page.More {
		page.Entries = page.Entries[:q.Limit]
	}
	return page, translate(err)
}

// count counts the entries up to maxCounted. Where the index leaves some to be
// passed over, it is they that are bounded: few of them may match.
func (s *Audit) count(ctx context.Context, f auditFilters) (page audit.Page, err error) {
	walked := strings.Join(append(slices.Clone(f.walked.text), "TRUE"), " AND ")
	query, args := "SELECT COUNT(*), COUNT(*) FROM (SELECT 1 FROM "+f.from()+" WHERE "+walked+" LIMIT ?) AS t", append(slices.Clone(f.walked.args), maxCounted+1)
	most := int64(maxCounted)
	if len(f.passed.text) > 0 {
		query = "SELECT COUNT(*), COALESCE(SUM(t.matches), 0) FROM (SELECT " + strings.Join(f.passed.text, " AND ") + " AS matches FROM " + f.from() + " WHERE " + walked + " LIMIT ?) AS t"
		args, most = slices.Concat(f.passed.args, f.walked.args, []any{maxPassed + 1}), maxPassed
	}
	type counts struct{ walked, matching int64 }
	found, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (c counts, err error) {
		err = rows.Scan(&c.walked, &c.matching)
		return c, err
	}, query, args...)
	if err != nil {
		return page, err
	}
	c := found[0]
	return audit.Page{Total: min(c.matching, maxCounted), TotalIsLowerBound: c.matching > maxCounted || c.walked > most}, nil
}

// auditFilters are a query's filters. Those of walked say where its index is
// walked along; those of passed, which of the entries there are passed over.
type auditFilters struct {
	index          string
	walked, passed conditions
}

func (f auditFilters) from() string { return "audit_log a FORCE INDEX (" + f.index + ")" }

func auditFilter(q audit.Query) (f auditFilters) {
	user, action := &f.walked, &f.walked
	if q.Action != "" && q.EntityID == 0 {
		q.Entity = "" // the action says it
	}
	switch {
	case q.EntityID != 0:
		f.index, user, action = "ix_audit_log_entity_id", &f.passed, &f.passed
	case q.UserID != 0 && q.Action != "":
		f.index = "ix_audit_log_user_action"
	case q.UserID != 0 && q.Entity != "":
		f.index = "ix_audit_log_user_entity"
	case q.UserID != 0:
		f.index = "ix_audit_log_user"
	case q.Action != "":
		f.index = "ix_audit_log_action"
	case q.Entity != "":
		f.index = "ix_audit_log_entity"
	default:
		f.index = "ix_audit_log_at"
	}
	if q.EntityID != 0 {
		f.walked.add("a.entity_id = ?", q.EntityID)
	}
	if q.UserID != 0 {
		user.add("a.user_id = ?", q.UserID)
	}
	if q.Action != "" {
		action.add("a.action = ?", string(q.Action))
	}
	if q.Entity != "" {
		f.walked.add("a.entity = ?", string(q.Entity))
	}
	if q.From != nil {
		f.walked.add("a.at >= ?", utc(*q.From))
	}
	if q.To != nil {
		f.walked.add("a.at <= ?", utc(*q.To))
	}
	return f
}

func scanEntry(rows *sql.Rows) (e audit.Entry, err error) {
	var user, token, session, entity sql.NullInt64
	var email sql.NullString
	var before, after []byte
	err = rows.Scan(&e.ID, &e.At, &user, &email, &token, &session, &e.RequestID, &e.Address,
		&e.Action, &e.Entity, &entity, &e.EntityName, &before, &after)
	e.UserID, e.UserEmail, e.TokenID, e.SessionID, e.EntityID = user.Int64, email.String, token.Int64, session.Int64, entity.Int64
	e.Before, e.After = before, after
	return e, err
}
