package mysql_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/account"
	"github.com/cronjobs/cronjobs/internal/apperr"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

func TestRepliesAreKeptForADay(t *testing.T) {
	t.Parallel()
	store := mysql.NewReplies(mysqltest.New(t))
	ctx, now := t.Context(), windowEnd
	request := account.Request{UserID: 1, Key: "k", Hash: [32]byte{1}}
	fresh := func(after time.Duration) bool {
		t.Helper()
		_, replayed, err := store.Begin(ctx, request, now.Add(after))
		if err != nil {
			t.Fatal(err)
		}
		return !replayed
	}
	if !fresh(0) {
		t.Fatal("a new key has a reply")
	}
	if _, _, err := store.Begin(ctx, request, now.Add(time.Second)); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("while it is served: %v", err)
	}
	if !fresh(account.ServingTime) {
		t.Error("a request that was lost holds its key")
	}
	want := account.Reply{Status: 201, Location: "/jobs/1", ETag: `"1"`, Body: []byte("{\"a\":\"\x00ä\"}")}
	if err := store.Finish(ctx, request, want); err != nil {
		t.Fatal(err)
	}
	got, replayed, err := store.Begin(ctx, request, now.Add(23*time.Hour))
	if diff := cmp.Diff(want, got); err != nil || !replayed || diff != "" {
		t.Errorf("replayed %t, %v (-want +got):\n%s", replayed, err, diff)
	}
	if err := store.Abandon(ctx, request); err != nil { // late: there is a reply
		t.Fatal(err)
	}
	other := request
	other.Hash[0]++
	if _, _, err := store.Begin(ctx, other, now.Add(23*time.Hour)); !apperr.Is(err, apperr.Conflict) {
		t.Errorf("another request with the key: %v", err)
	}
	request = other
	if !fresh(account.ReplyLifetime + account.ServingTime) {
		t.Error("a reply outlives its day")
	}
	if err := store.Abandon(ctx, request); err != nil {
		t.Fatal(err)
	}
	if !fresh(account.ReplyLifetime + account.ServingTime) {
		t.Error("an abandoned key is not free")
	}
}
