package execution_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/execution"
)

func TestChunkRoundTrip(t *testing.T) {
	t.Parallel()
	want := execution.Chunk{
		At:         time.Date(2026, 1, 31, 9, 30, 0, 250e6, time.UTC),
		Executions: []execution.Ref{{ID: 1<<53 - 1, Attempt: 1}, {ID: 7, Attempt: 6}},
	}
	body, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := execution.ParseChunk(body)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseChunkRefuses(t *testing.T) {
	t.Parallel()
	many := `{"at":"2026-01-31T09:30:00Z","executions":[` + strings.Repeat(`{"id":1,"attempt":1},`, execution.MaxChunk) + `{"id":1,"attempt":1}]}`
	for _, body := range []string{"", "null", "[]", "{}", `{"at":"2026-01-31T09:30:00Z","executions":[]}`, `{"executions":[{"id":1}]}`, `{"at":"soon","executions":[{"id":1}]}`, many} {
		if c, err := execution.ParseChunk(body); err == nil {
			t.Errorf("%.40q is taken as %+v", body, c)
		}
	}
}
