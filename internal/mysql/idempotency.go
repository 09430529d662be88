package mysql

import (
	"context"
	"database/sql"
	"math/rand/v2"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
)

// Replies keeps the answers to requests that clients may send again.
type Replies struct{ db *sql.DB }

// NewReplies makes a store on a pool that Open made.
func NewReplies(db *sql.DB) *Replies { return &Replies{db: db} }

// storedReply is a row of idempotency_keys.
type storedReply struct {
	hash        []byte
	lockedUntil time.Time
	expiresAt   time.Time
	status      sql.NullInt64
	reply       account.Reply
}

func thisRequest(r account.Request) goqu.Expression {
	return goqu.And(goqu.C("user_id").Eq(r.UserID), goqu.C("idem_key").Eq([]byte(r.Key)))
}

// Begin takes a request's key, so that the caller alone serves it, or returns
// the reply that it had: then replayed is true. It answers Conflict where the
// key was given to another request, or the first is still being served.
func (s *Replies) Begin(ctx context.Context, r account.Request, now time.Time) (reply account.Reply, replayed bool, err error) {
	if rand.IntN(sweepEvery) == 0 {
		// The next one sweeps if this one cannot.
		_, _ = exec(ctx, s.db, dialect.Delete("idempotency_keys").Where(goqu.C("expires_at").Lt(utc(now))).Limit(sweepMost))
	}
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		reply, replayed = account.Reply{}, false
		row := goqu.Record{
			"request_hash": r.Hash[:], "locked_until": utc(now.Add(account.ServingTime)),
			"expires_at": utc(now.Add(account.ReplyLifetime)), "status": nil, "location": "", "etag": "", "body": nil,
		}
		found, err := queryAll(ctx, tx, dialect.From("idempotency_keys").
			Select("request_hash", "locked_until", "expires_at", "status", "location", "etag", "body").
			Where(thisRequest(r)).ForUpdate(goqu.Wait), scanReply)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			row["user_id"], row["idem_key"] = r.UserID, []byte(r.Key)
			_, err := exec(ctx, tx, dialect.Insert("idempotency_keys").Rows(row))
			if isDuplicate(err) { // another request was faster
				return errStillServed
			}
			return err
		}
		stored := found[0]
		switch {
		case !stored.expiresAt.After(now):
		case string(stored.hash) != string(r.Hash[:]):
			return apperr.New(apperr.Conflict, "This Idempotency-Key was given to another request; use a new one.")
		case stored.status.Valid:
			reply, replayed = stored.reply, true
			return nil
		case stored.lockedUntil.After(now):
			return errStillServed
		}
		// It has expired, or whoever served it was lost.
		_, err = exec(ctx, tx, dialect.Update("idempotency_keys").Set(row).Where(thisRequest(r)))
		return err
	})
	return reply, replayed, err
}

var errStillServed = apperr.New(apperr.Conflict, "The first request with this Idempotency-Key is still being served; ask again soon.")

func scanReply(rows *sql.Rows) (r storedReply, err error) {
	err = rows.Scan(&r.hash, &r.lockedUntil, &r.expiresAt, &r.status, &r.reply.Location, &r.reply.ETag, &r.reply.Body)
	r.reply.Status = int(r.status.Int64)
	return r, err
}

// Finish keeps the reply to a request whose key Begin took.
func (s *Replies) Finish(ctx context.Context, r account.Request, reply account.Reply) error {
	_, err := exec(ctx, s.db, dialect.Update("idempotency_keys").
		Set(goqu.Record{"status": reply.Status, "location": reply.Location, "etag": reply.ETag, "body": reply.Body}).
		Where(thisRequest(r), goqu.C("request_hash").Eq(r.Hash[:])))
	return translate(err)
}

// Abandon lets go of a key, so that the request can be served anew.
func (s *Replies) Abandon(ctx context.Context, r account.Request) error {
	_, err := exec(ctx, s.db, dialect.Delete("idempotency_keys").
		Where(thisRequest(r), goqu.C("request_hash").Eq(r.Hash[:]), goqu.C("status").IsNull()))
	return translate(err)
}
