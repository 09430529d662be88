package mysql_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/executor"
	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

func TestSigningKeysReachTheWorker(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A").ID
	signed, plain := k.create(k.input("Signed", category)), k.create(k.input("Plain", category))
	store := mysql.NewExecutions(k.db).WithKeys(k.ring)
	refs := []execution.Ref{
		{ID: k.waitingRun(signed.ID, "manual", "pending", 1, noon), Attempt: 1},
		{ID: k.waitingRun(plain.ID, "manual", "pending", 1, noon), Attempt: 1},
	}
	load := func(store *mysql.Executions) []executor.Work {
		t.Helper()
		works, err := store.Load(t.Context(), refs)
		if err != nil || len(works) != 2 {
			t.Fatalf("%v, %v", works, err)
		}
		return works
	}
	var secrets []string
	for range 3 { // the first of them no longer signs
		secret, err := k.jobs.RotateSigningKey(t.Context(), signed.ID)
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, strings.TrimPrefix(secret, "whsec_"))
	}
	holds := func(when string) {
		t.Helper()
		works := load(store)
		keys := works[0].SigningKeys
		if len(keys) != 2 || works[0].Broken != nil || works[1].SigningKeys != nil || works[1].Broken != nil {
			t.Fatalf("%s: %+v", when, works)
		}
		for i, key := range keys { // the newest first
			if base64.StdEncoding.EncodeToString(key.Key) != secrets[2-i] {
				t.Errorf("%s: key %d is another", when, i)
			}
		}
		if day := noon.Add(24 * time.Hour); !keys[0].Signs(day) || !keys[1].Signs(day.Add(-time.Millisecond)) || keys[1].Signs(day) {
			t.Errorf("%s: the key before signs until %v", when, keys[1].Until)
		}
	}
	holds("as they were made")
	if rotated, err := mysql.NewRotation(k.db, k.ring).Run(t.Context(), noon); err != nil || rotated.Resealed != 1 || rotated.Unreadable != 0 {
		t.Fatalf("%+v, %v", rotated, err)
	}
	holds("under another data key")
	if works := load(mysql.NewExecutions(k.db).WithKeys(mysqltest.Keys(t))); works[0].Broken == nil || works[0].SigningKeys != nil || works[1].Broken != nil {
		t.Errorf("under another master key: %+v", works)
	}
	// Moved to another job's row, keys stay closed, and nothing goes unsigned.
	k.exec("UPDATE signing_keys SET job_id = ? WHERE job_id = ?", plain.ID, signed.ID)
	if works := load(store); works[1].Broken == nil || works[1].SigningKeys != nil {
		t.Errorf("in another job's row: %+v", works[1])
	}
	if err := k.jobs.RemoveSigningKeys(t.Context(), plain.ID); err != nil {
		t.Fatal(err)
	}
	if works := load(store); works[1].Broken != nil || works[1].SigningKeys != nil {
		t.Errorf("without keys: %+v", works[1])
	}
}

// TestSigningKeysGoWithTheirJob deletes a job by itself, and others with many.
func TestSigningKeysGoWithTheirJob(t *testing.T) {
	t.Parallel()
	k := newKeeper(t)
	category := k.category("A").ID
	var jobs []int64
	for _, name := range []string{"Alone", "One of many", "Another", "Kept"} {
		id := k.create(k.input(name, category)).ID
		if _, err := k.jobs.RotateSigningKey(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, id)
	}
	if err := k.jobs.Delete(t.Context(), jobs[0], nil); err != nil {
		t.Fatal(err)
	}
	for id, err := range k.many(job.BulkDelete, jobs[1:3], 0) {
		if err != nil {
			t.Errorf("%d: %v", id, err)
		}
	}
	if left, want := k.text("SELECT GROUP_CONCAT(job_id) FROM signing_keys"), fmt.Sprint(jobs[3]); left != want {
		t.Errorf("keys are left of %s, want %s", left, want)
	}
	if _, err := k.jobs.RotateSigningKey(t.Context(), jobs[0]); !apperr.Is(err, apperr.NotFound) {
		t.Errorf("a key for a deleted job: %v", err)
	}
}
