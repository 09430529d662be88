package mysql_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
	"github.com/cronjobs/cronjobs/internal/secret"
)

// secretJob is a job with a secret header and a secret body.
func (k *keeper) secretJob(name string, category int64) job.Job {
	in := k.input(name, category)
	in.Headers = job.Nullable[map[string]string]{Given: true, Value: &map[string]string{"Authorization": "Bearer sentinel", "X-Plain": "a"}}
	in.Body, in.BodySecret = job.Nullable[json.RawMessage]{Given: true, Value: new(json.RawMessage(`{"a": "sentinel"}`))}, new(true)
	return k.create(in)
}

func (k *keeper) requireOpen(id int64) {
	k.t.Helper()
	got := k.opened(id)
	if got.Request.Headers["Authorization"] != "Bearer sentinel" || string(got.Request.Body) != `{"a": "sentinel"}` || got.Request.Sealed != nil {
		k.t.Errorf("job %d opens as %q, %s", id, got.Request.Headers, got.Request.Body)
	}
}

func TestSecretsAreSealedWhereTheyAreStored(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A").ID
	plain := k.create(k.input("Plain", category))
	if keys := k.text("SELECT COUNT(*) FROM data_keys"); keys != "0" {
		t.Errorf("a job without secrets made %s data keys", keys)
	}
	made := k.secretJob("Secret", category)
	if got := k.text("SELECT COUNT(*) FROM job_requests WHERE sealed IS NOT NULL AND key_version = 1 AND body IS NULL"); got != "1" {
		t.Errorf("%s requests are sealed", got)
	}
	if made.Request.Headers["Authorization"] != job.Mask || string(made.Request.Body) != `"********"` {
		t.Errorf("the answer shows %v, %s", made.Request.Headers, made.Request.Body)
	}
	if got := k.text(`SELECT COUNT(*) FROM job_requests WHERE LOCATE('sentinel', CONCAT_WS(' ', url, headers, secret_headers, body)) > 0 OR LOCATE('sentinel', sealed) > 0`); got != "0" {
		t.Errorf("%s requests hold a secret in the clear", got)
	}
	k.requireOpen(made.ID)
	// Moved to another row, what is sealed stays closed.
	k.exec("UPDATE job_requests a JOIN job_requests b ON b.job_id = ? SET a.sealed = b.sealed, a.secret_headers = b.secret_headers, a.key_version = 1 WHERE a.job_id = ?", made.ID, plain.ID)
	if got := k.opened(plain.ID); got.Request.Sealed == nil || got.Request.Headers["Authorization"] != job.Mask {
		t.Errorf("sealed for another job and opened: %v", got.Request.Headers)
	}
}

func TestASecretThatCannotBeOpenedIsSetAside(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A").ID
	made := k.secretJob("Secret", category)
	fine := k.create(k.input("Fine", category))
	k.waitingRun(made.ID, "manual", "pending", 1, noon)
	k.waitingRun(fine.ID, "manual", "pending", 1, noon)
	other := mysqltest.Keys(t) // another master key
	var refs []execution.Ref
	for _, id := range []int64{made.ID, fine.ID} {
		var ref execution.Ref
		if _, err := fmt.Sscan(k.text("SELECT id FROM executions WHERE job_id = ?", id), &ref.ID); err != nil {
			t.Fatal(err)
		}
		ref.Attempt = 1
		refs = append(refs, ref)
	}
	works, err := mysql.NewExecutions(k.db).WithKeys(other).Load(t.Context(), refs)
	if err != nil || len(works) != 2 || works[0].Broken == nil || works[1].Broken != nil {
		t.Fatalf("%v, %v", works, err)
	}
	if works[0].Request.Headers["Authorization"] == "Bearer sentinel" {
		t.Error("it was opened all the same")
	}
	works, err = mysql.NewExecutions(k.db).WithKeys(k.ring).Load(t.Context(), refs)
	if err != nil || works[0].Broken != nil || works[0].Request.Headers["Authorization"] != "Bearer sentinel" {
		t.Fatalf("with its key: %v, %v", works, err)
	}

	// People can still name and pause the job, and enter its secrets again; what
	// would lose them is refused.
	jobs := job.NewService(mysql.NewJobs(k.db).WithKeys(other), idle{}, lookAhead, func() time.Time { return noon })
	if _, err := jobs.Patch(t.Context(), made.ID, job.Input{Name: new("Renamed")}, nil); err != nil {
		t.Errorf("renaming: %v", err)
	}
	if _, err := jobs.Pause(t.Context(), made.ID, nil); err != nil {
		t.Errorf("pausing: %v", err)
	}
	if _, err := jobs.Patch(t.Context(), made.ID, job.Input{Timeout: new(int64(2000))}, nil); !apperr.Is(err, apperr.Invalid) {
		t.Errorf("a new revision that keeps what cannot be read: %v", err)
	}
	k.requireOpen(made.ID)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A").ID
	var ids []int64
	for i := range 7 {
		ids = append(ids, k.secretJob(fmt.Sprintf("Secret %d", i), category).ID)
	}
	secrets := job.NewSecrets(mysql.NewSecrets(k.db, k.ring), func() time.Time { return noon })
	if _, created, err := secrets.Put(t.Context(), job.WorkspaceSecret{Name: "TOKEN", Value: "sentinel", AllowedHosts: []string{"example.com"}}, 1); err != nil || !created {
		t.Fatal(created, err)
	}
	// Two rows from before secrets were sealed.
	old := k.create(k.input("Old", category)).ID
	k.exec(`UPDATE job_requests SET secret_headers = '{"values":{"Authorization":"Bearer sentinel"}}', body = '{"a": "sentinel"}', body_secret = 1 WHERE job_id = ?`, old)
	k.requireOpen(old)
	ids = append(ids, old)

	rotation := mysql.NewRotation(k.db, k.ring)
	done, err := rotation.Run(t.Context(), noon)
	if diff := cmp.Diff(mysql.Rotated{Version: 2, Resealed: 9}, done); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	for _, id := range ids {
		k.requireOpen(id)
	}
	if got := k.text(`SELECT COUNT(*) FROM job_requests WHERE body LIKE '%sentinel%' OR secret_headers LIKE '%sentinel%' OR key_version <> 2`); got != "0" {
		t.Errorf("%s rows are as they were", got)
	}
	if got := k.text("SELECT GROUP_CONCAT(version ORDER BY version) FROM data_keys WHERE retired_at IS NOT NULL"); got != "1" {
		t.Errorf("retired: %s", got)
	}
	// A day later the key is of no use to anybody.
	if done, err = rotation.Run(t.Context(), noon.Add(25*time.Hour)); err != nil || done.Version != 3 {
		t.Fatal(done, err)
	}
	if got := k.text("SELECT GROUP_CONCAT(version ORDER BY version) FROM data_keys"); got != "2,3" {
		t.Errorf("data keys %s", got)
	}
	for _, id := range ids {
		k.requireOpen(id)
	}
}

func TestRotationBesideWriters(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A").ID
	var ids []int64
	for i := range 6 {
		ids = append(ids, k.secretJob(fmt.Sprintf("Secret %d", i), category).ID)
	}
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() {
			for n := range 8 {
				if _, err := k.jobs.Patch(t.Context(), id, job.Input{Timeout: new(int64(2000 + 10*n + i))}, nil); err != nil {
					t.Error(err)
				}
			}
		})
	}
	rotation := mysql.NewRotation(k.db, k.ring)
	for n := range 3 {
		if _, err := rotation.Run(t.Context(), noon.Add(time.Duration(n)*2*time.Hour)); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	for _, id := range ids {
		k.requireOpen(id)
	}
	if got := k.text(`SELECT COUNT(*) FROM job_requests r LEFT JOIN data_keys d ON d.version = r.key_version WHERE r.sealed IS NOT NULL AND d.version IS NULL`); got != "0" {
		t.Errorf("the keys of %s requests are gone", got)
	}
}

// TestTheMasterKeyIsReplaced seals under one master key, opens under another that
// knows it, moves everything, and does without the first.
func TestTheMasterKeyIsReplaced(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	first, second := mysqltest.MasterKey(t), mysqltest.MasterKey(t)
	k.ring = secret.NewRing(first, time.Now)
	k.jobs = job.NewService(mysql.NewJobs(k.db).WithKeys(k.ring), k, lookAhead, func() time.Time { return noon })
	id := k.secretJob("Secret", k.category("A").ID).ID
	refs := []execution.Ref{{ID: k.waitingRun(id, "manual", "pending", 1, noon), Attempt: 1}}
	if _, err := k.jobs.RotateSigningKey(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	// A rotation under the old master key that was stopped just now: the next must
	// not go on under its data key.
	if done, err := mysql.NewRotation(k.db, k.ring).Run(t.Context(), noon); err != nil || done.Version != 2 {
		t.Fatal(done, err)
	}
	k.exec("UPDATE data_keys SET retired_at = NULL")

	opens := func(ring *secret.Ring) bool {
		t.Helper()
		works, err := mysql.NewExecutions(k.db).WithKeys(ring).Load(t.Context(), refs)
		if err != nil || len(works) != 1 {
			t.Fatalf("%v, %v", works, err)
		}
		return works[0].Broken == nil && works[0].Request.Headers["Authorization"] == "Bearer sentinel" && len(works[0].SigningKeys) == 1
	}
	fresh := func(previous secret.Provider) *secret.Ring {
		return secret.NewRing(second, time.Now).WithPrevious(previous)
	}
	if opens(fresh(nil)) || !opens(fresh(first)) || opens(fresh(mysqltest.MasterKey(t))) {
		t.Fatal("before the rotation")
	}
	done, err := mysql.NewRotation(k.db, fresh(first)).Run(t.Context(), noon.Add(time.Minute))
	if diff := cmp.Diff(mysql.Rotated{Version: 3, Resealed: 2}, done); diff != "" || err != nil {
		t.Fatal(diff, err)
	}
	if !opens(fresh(nil)) || opens(k.ring) {
		t.Error("after the rotation")
	}
	if got := k.text("SELECT GROUP_CONCAT(version ORDER BY version) FROM data_keys WHERE retired_at IS NULL"); got != "3" {
		t.Errorf("data keys in use: %s", got)
	}
}

// TestAKeyThatIsStillNeededIsNotRetired rotates where a row cannot be opened: its
// key may yet be good for it, once somebody has mended the row.
func TestAKeyThatIsStillNeededIsNotRetired(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A").ID
	damaged, fine := k.secretJob("Damaged", category).ID, k.secretJob("Fine", category).ID
	k.exec("UPDATE job_requests SET sealed = CONCAT(sealed, 'x') WHERE job_id = ?", damaged)
	rotation := mysql.NewRotation(k.db, k.ring)
	for day := range 3 {
		done, err := rotation.Run(t.Context(), noon.AddDate(0, 0, day))
		if err != nil || done.Resealed != 1 || done.Unreadable != 1 {
			t.Fatalf("day %d: %+v, %v", day, done, err)
		}
	}
	if got := k.text("SELECT GROUP_CONCAT(version ORDER BY version) FROM data_keys WHERE retired_at IS NULL"); got != "1,4" {
		t.Errorf("data keys in use: %s", got)
	}
	k.exec("UPDATE job_requests SET sealed = LEFT(sealed, LENGTH(sealed) - 1) WHERE job_id = ?", damaged)
	for _, id := range []int64{damaged, fine} {
		k.requireOpen(id)
	}
}
