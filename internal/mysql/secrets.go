package mysql

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/doug-martin/goqu/v9"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/audit"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// Secrets keeps the workspace's secrets. It is a job.SecretStore.
type Secrets struct {
	db   *sql.DB
	ring *secret.Ring
}

// NewSecrets makes the store on a pool that Open made.
func NewSecrets(db *sql.DB, ring *secret.Ring) *Secrets { return &Secrets{db: db, ring: ring} }

// secretPlace is where the value of a secret belongs.
func secretPlace(name string) secret.Place {
	return secret.Place{Table: "secrets", Row: name, Field: "sealed"}
}

// PutSecret stores a secret, in the place of one of that name.
func (s *Secrets) PutSecret(ctx context.Context, w job.WorkspaceSecret) (created bool, err error) {
	hosts, err := json.Marshal(w.AllowedHosts)
	if err != nil {
		return false, fmt.Errorf("encode: %w", err)
	}
	err = inTx(ctx, s.db, func(tx *sql.Tx) error {
		found, err := queryAllSQL(ctx, tx, scanInto[string], "SELECT name FROM secrets WHERE name = ? FOR UPDATE", w.Name)
		if err != nil {
			return err
		}
		created = len(found) == 0
		sealed, version, err := newSealer(s.ring, tx, w.UpdatedAt).seal(ctx, secretPlace(w.Name), []byte(w.Value))
		if err != nil {
			return err
		}
		row := goqu.Record{
			"sealed": sealed, "key_version": version, "allowed_hosts": string(hosts),
			"updated_at": utc(w.UpdatedAt), "updated_by": idOrNull(w.UpdatedBy),
		}
		if created {
			row["name"], row["created_at"] = w.Name, utc(w.CreatedAt)
			_, err = exec(ctx, tx, dialect.Insert("secrets").Rows(row))
		} else {
			_, err = exec(ctx, tx, dialect.Update("secrets").Set(row).Where(goqu.C("name").Eq(w.Name)))
		}
		switch {
		case isDuplicate(err):
			return errLostRace
		case err != nil:
			return err
		}
		return record(ctx, tx, w.Audited())
	})
	return created, err
}

func selectSecrets() *goqu.SelectDataset {
	return dialect.From("secrets").Select("name", "allowed_hosts", "created_at", "updated_at").Order(goqu.C("name").Asc())
}

func scanSecret(rows *sql.Rows) (w job.WorkspaceSecret, err error) {
	var hosts []byte
	if err := rows.Scan(&w.Name, &hosts, &w.CreatedAt, &w.UpdatedAt); err != nil {
		return w, err
	}
	if err := json.Unmarshal(hosts, &w.AllowedHosts); err != nil {
		return w, fmt.Errorf("allowed hosts of the secret %s: %w", w.Name, err)
	}
	return w, nil
}

// GetSecret reads a secret without its value.
func (s *Secrets) GetSecret(ctx context.Context, name string) (job.WorkspaceSecret, error) {
	found, err := queryOne(ctx, s.db, selectSecrets().Where(goqu.C("name").Eq(name)), scanSecret)
	if err != nil {
		return job.WorkspaceSecret{}, secretError(err)
	}
	used, err := s.uses(ctx)
	found.UsedByJobs = used[name]
	return found, translate(err)
}

// ListSecrets reads a page of secrets by name, without their values.
func (s *Secrets) ListSecrets(ctx context.Context, offset, limit int) ([]job.WorkspaceSecret, int, error) {
	total, err := queryOne(ctx, s.db, dialect.From("secrets").Select(goqu.COUNT(goqu.Star())), scanInto[int])
	if err != nil {
		return nil, 0, translate(err)
	}
	page, err := queryAll(ctx, s.db, selectSecrets().Offset(uint(offset)).Limit(uint(limit)), scanSecret)
	if err != nil {
		return nil, 0, translate(err)
	}
	used, err := s.uses(ctx)
	for i := range page {
		page[i].UsedByJobs = used[page[i].Name]
	}
	return page, total, translate(err)
}

// DeleteSecret removes a secret. Jobs that name it fail from then on, without
// calling.
func (s *Secrets) DeleteSecret(ctx context.Context, name string) error {
	return secretError(inTx(ctx, s.db, func(tx *sql.Tx) error {
		n, err := exec(ctx, tx, dialect.Delete("secrets").Where(goqu.C("name").Eq(name)))
		switch {
		case err != nil:
			return err
		case n == 0:
			return apperr.New(apperr.NotFound, "There is no such secret.")
		}
		return record(ctx, tx, audit.Entry{Action: audit.SecretDelete, Entity: audit.Secret, EntityName: name})
	}))
}

// uses counts the jobs that name each secret. It reads those alone that name
// any.
func (s *Secrets) uses(ctx context.Context) (map[string]int, error) {
	lists, err := queryAllSQL(ctx, s.db, scanInto[[]byte], `SELECT r.secret_names FROM job_requests r JOIN jobs j ON j.id = r.job_id AND j.revision = r.revision
		WHERE r.secret_names IS NOT NULL AND j.name_key IS NOT NULL`)
	used := map[string]int{}
	for _, list := range lists {
		var names []string
		if err := json.Unmarshal(list, &names); err != nil {
			return used, fmt.Errorf("secrets that a request names: %w", err)
		}
		for _, name := range names {
			used[name]++
		}
	}
	return used, err
}

func secretError(err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return apperr.Wrap(apperr.NotFound, err, "There is no such secret.")
	}
	return translate(err)
}

// fillVaults gives works the workspace's secrets that their requests name, as
// they are now. Where no request names any the database is not asked.
func (s *Executions) fillVaults(ctx context.Context, works []executor.Work) error {
	named := map[int][]string{}
	var all []any
	for i, w := range works {
		if w.Broken != nil {
			continue
		}
		if names := w.Request.SecretNames(); len(names) > 0 {
			named[i] = names
			for _, name := range names {
				all = append(all, name)
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	type row struct {
		name          string
		sealed, hosts []byte
	}
	rows, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (r row, err error) {
		err = rows.Scan(&r.name, &r.sealed, &r.hosts)
		return r, err
	}, "SELECT name, sealed, allowed_hosts FROM secrets WHERE name IN ("+placeholders(len(all))+")", all...)
	if err != nil {
		return err
	}
	vault := map[string]executor.VaultSecret{}
	for _, r := range rows {
		var one executor.VaultSecret
		value, err := s.ring.Open(ctx, storedKeys(s.db), secretPlace(r.name), r.sealed)
		if err != nil && isDatabase(err) {
			return err
		}
		one.Value, one.Broken = string(value), err
		if err := json.Unmarshal(r.hosts, &one.AllowedHosts); err != nil {
			one.Broken = errors.Join(one.Broken, err)
		}
		vault[r.name] = one
	}
	for i, names := range named {
		works[i].Vault = make(map[string]executor.VaultSecret, len(names))
		for _, name := range names {
			if one, ok := vault[name]; ok {
				works[i].Vault[name] = one
			}
		}
	}
	return nil
}
