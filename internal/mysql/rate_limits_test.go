package mysql_test

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

var windowEnd = time.Date(2026, 1, 31, 12, 15, 0, 0, time.UTC)

func TestCountsInWindows(t *testing.T) {
	t.Parallel()
	store := mysql.NewAccounts(mysqltest.New(t))
	one, other := account.Bucket{1}, account.Bucket{2, 0, '\''}
	var got []int
	for _, c := range []struct {
		bucket account.Bucket
		ends   time.Time
	}{
		{one, windowEnd},
		{one, windowEnd},
		{other, windowEnd},
		{one, windowEnd},
		{other, windowEnd}, // before any later request, which may sweep old windows
		{one, windowEnd.Add(15 * time.Minute)},
		{one, windowEnd.Add(15 * time.Minute)},
		{one, windowEnd}, // from a server whose clock is behind
		{one, windowEnd.Add(15 * time.Minute)},
	} {
		n, err := store.Count(t.Context(), c.bucket, c.ends.Add(-time.Minute), c.ends)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if diff := cmp.Diff([]int{1, 2, 1, 3, 2, 1, 2, 3, 4}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
}

func TestDiscount(t *testing.T) {
	t.Parallel()
	store := mysql.NewAccounts(mysqltest.New(t))
	count := func(bucket account.Bucket) int {
		t.Helper()
		n, err := store.Count(t.Context(), bucket, windowEnd.Add(-time.Minute), windowEnd)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	one, other := account.Bucket{1}, account.Bucket{2}
	count(one)
	count(one)
	count(other)
	for _, ends := range []time.Time{windowEnd, windowEnd.Add(-15 * time.Minute)} {
		if err := store.Discount(t.Context(), []account.Bucket{one, other, {3}}, ends); err != nil {
			t.Fatal(err)
		}
	}
	if got := []int{count(one), count(other)}; !cmp.Equal(got, []int{2, 1}) {
		t.Errorf("after the discount: %v", got)
	}
}

func TestParallelCountsAreAllDifferent(t *testing.T) {
	t.Parallel()
	store := mysql.NewAccounts(mysqltest.New(t))
	var mu sync.Mutex
	var wg sync.WaitGroup
	seen := map[int]bool{}
	const requests = 60
	for range requests {
		wg.Go(func() {
			n, err := store.Count(t.Context(), account.Bucket{9}, windowEnd.Add(-time.Minute), windowEnd)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			seen[n] = true
		})
	}
	wg.Wait()
	if len(seen) != requests || !seen[1] || !seen[requests] {
		t.Errorf("%d requests were given %d numbers", requests, len(seen))
	}
}

func TestOldWindowsAreRemoved(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	store := mysql.NewAccounts(db)
	if _, err := db.ExecContext(t.Context(), "INSERT INTO rate_limits (bucket, ends_at, hits) VALUES ('0123456789abcdef', ?, 1)",
		windowEnd.Add(-15*time.Minute)); err != nil {
		t.Fatal(err)
	}
	left := func() (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM rate_limits WHERE ends_at < ?", windowEnd).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	// Whether a request sweeps is left to chance; 2000 that do not are out of
	// the question.
	for i := 0; left() > 0; i++ {
		if i == 2000 {
			t.Fatal("the old window is still there")
		}
		bucket := account.Bucket{byte(i >> 8), byte(i)}
		if _, err := store.Count(t.Context(), bucket, windowEnd.Add(-time.Minute), windowEnd); err != nil {
			t.Fatal(err)
		}
	}
}
