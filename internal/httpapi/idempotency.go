package httpapi

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/audit"
)

// Replies keeps the answers to requests that clients may send again.
type Replies interface {
	// Begin takes a request's key, so that the caller alone serves it, or
	// returns the reply that it had. It answers Conflict where the key was
	// given to another request, or the first is still being served.
	Begin(ctx context.Context, r account.Request, now time.Time) (reply account.Reply, replayed bool, err error)
	// Finish keeps the reply; Abandon lets go of the key instead.
	Finish(ctx context.Context, r account.Request, reply account.Reply) error
	Abandon(ctx context.Context, r account.Request) error
}

// Repeatable is embedded by inputs of routes that a client may call again with
// the same key, sure that it is done once.
type Repeatable struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"128" pattern:"^[ -~]*$" patternDescription:"printable ASCII" doc:"Kept for 24 hours. The same request with the same key gets the first answer again, marked Idempotent-Replayed: true; another request, or one that comes while the first is served, is 409. A request that failed may be sent again with its key."`
}

func (r Repeatable) repeatKey() string { return r.IdempotencyKey }

type repeatable interface{ repeatKey() string }

// respond turns what a handler returns into an answer ready to be written,
// serving a request that bears an Idempotency-Key once.
func respond[I any, A answer](ctx context.Context, s *server, in *I, handle func(context.Context, *I) (A, error)) (encoded, error) {
	if err := faultsOf(ctx, in, s.now()); err != nil {
		return encoded{}, err
	}
	ctx = audit.By(ctx, actorOf(infoOf(ctx)))
	once := func() (encoded, error) {
		result, err := handle(ctx, in)
		if err != nil {
			return encoded{}, err
		}
		return s.encodeAnswer(result)
	}
	if r, ok := any(in).(repeatable); ok && r.repeatKey() != "" {
		return s.respondOnce(ctx, r.repeatKey(), once)
	}
	return once()
}

// respondOnce serves a request unless it was served before. What failed has
// changed nothing, so its key is free again.
func (s *server) respondOnce(ctx context.Context, key string, serve func() (encoded, error)) (out encoded, err error) {
	request := account.Request{UserID: principal(ctx).User.ID, Key: key, Hash: hashRequest(ctx)}
	reply, replayed, err := s.Replies.Begin(ctx, request, s.now())
	if err != nil {
		return encoded{}, err
	}
	if replayed {
		return encoded{
			status: reply.Status, body: reply.Body,
			header: map[string]string{"Location": reply.Location, "ETag": reply.ETag, "Idempotent-Replayed": "true"},
		}, nil
	}
	// The client may be gone by the end; its next attempt must find the reply.
	lasting := context.WithoutCancel(ctx)
	finished := false
	defer func() {
		var failed error
		switch {
		case finished:
			failed = s.Replies.Finish(lasting, request, account.Reply{
				Status: out.status, Body: out.body, Location: out.header["Location"], ETag: out.header["ETag"],
			})
		default: // an error, or a panic
			failed = s.Replies.Abandon(lasting, request)
		}
		if failed != nil {
			s.log.LogAttrs(ctx, slog.LevelError, "reply not kept",
				slog.String("requestId", infoOf(ctx).id), slog.Any("error", failed))
			infoOf(ctx).note(errors.Join(infoOf(ctx).hidden, failed))
		}
	}()
	out, err = serve()
	finished = err == nil
	return out, err
}

// hashRequest tells requests apart by all that they ask for.
func hashRequest(ctx context.Context) [sha256.Size]byte {
	info := infoOf(ctx)
	return sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", info.method, info.path, intakeOf(ctx).body))
}
