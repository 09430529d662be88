package mysql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/secret"
)

func scanDataKey(rows *sql.Rows) (key secret.DataKey, err error) {
	err = rows.Scan(&key.Version, &key.Provider, &key.Wrapped)
	return key, err
}

// storedKeys reads data keys by their version, retired ones too.
func storedKeys(q querier) secret.Source {
	return func(ctx context.Context, version int) (secret.DataKey, error) {
		key, err := queryOne(ctx, q, dialect.From("data_keys").Select("version", "provider", "wrapped").
			Where(goqu.C("version").Eq(version)), scanDataKey)
		if errors.Is(err, sql.ErrNoRows) {
			return key, fmt.Errorf("%w: version %d of the data key is gone", secret.ErrUnreadable, version)
		}
		return key, err
	}
}

// sealer closes the secrets that one transaction writes. The key is read at the
// first of them, so that a transaction without any pays nothing, and is locked
// against its retirement: a rotation then waits for what is still being written
// under the old key.
type sealer struct {
	ring *secret.Ring
	tx   *sql.Tx
	now  time.Time
	key  secret.DataKey
}

func newSealer(ring *secret.Ring, tx *sql.Tx, now time.Time) *sealer {
	return &sealer{ring: ring, tx: tx, now: now}
}

func (s *sealer) seal(ctx context.Context, place secret.Place, value []byte) (sealed []byte, version int, err error) {
	if s.key.Version == 0 {
		if s.key, err = newestKey(ctx, s.tx, s.ring, s.now); err != nil {
			return nil, 0, sealError(err)
		}
	}
	sealed, err = s.ring.Seal(ctx, s.key, place, value)
	return sealed, s.key.Version, sealError(err)
}

// sealError tells a client that the fault is not in what it sent.
func sealError(err error) error {
	var unavailable *apperr.Error
	switch {
	case err == nil, errors.Is(err, errLostRace):
		return err
	case errors.Is(err, secret.ErrNoKey):
		unavailable = apperr.Wrap(apperr.Unavailable, err, "Secrets cannot be stored: the server has no key for them (SECRETS_KEY_ARN, or SECRETS_KEY_FILE). Nothing was changed.")
	case isDatabase(err):
		return err
	default:
		unavailable = apperr.Wrap(apperr.Unavailable, err, "Secrets cannot be stored at present: the server's key for them cannot be used. Nothing was changed; try again later.")
	}
	unavailable.RetryAfter = 30 * time.Second
	return unavailable
}

// newestKey is the data key that seals, locked against its retirement; it is
// made where there is none.
func newestKey(ctx context.Context, tx *sql.Tx, ring *secret.Ring, now time.Time) (secret.DataKey, error) {
	keys, err := queryAllSQL(ctx, tx, scanDataKey,
		"SELECT version, provider, wrapped FROM data_keys WHERE retired_at IS NULL ORDER BY version DESC LIMIT 1 LOCK IN SHARE MODE")
	if err != nil || len(keys) > 0 {
		return append(keys, secret.DataKey{})[0], err
	}
	return addKey(ctx, tx, ring, now)
}

// addKey stores a fresh data key. Where two do so at once, one of them looks
// again and finds the other's.
func addKey(ctx context.Context, tx *sql.Tx, ring *secret.Ring, now time.Time) (secret.DataKey, error) {
	last, err := queryAllSQL(ctx, tx, scanInto[int], "SELECT COALESCE(MAX(version), 0) FROM data_keys")
	if err != nil {
		return secret.DataKey{}, err
	}
	key, err := ring.NewDataKey(ctx, last[0]+1)
	if err != nil {
		return secret.DataKey{}, err
	}
	_, err = exec(ctx, tx, dialect.Insert("data_keys").Rows(goqu.Record{
		"version": key.Version, "provider": key.Provider, "wrapped": key.Wrapped, "created_at": utc(now),
	}))
	if isDuplicate(err) {
		return secret.DataKey{}, errLostRace
	}
	return key, err
}
