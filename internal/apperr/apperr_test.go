package apperr_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

func TestCodeOf(t *testing.T) {
	t.Parallel()
	cause := errors.New("driver: secret detail")
	for name, tc := range map[string]struct {
		err  error
		want apperr.Code
	}{
		"nil":                 {nil, ""},
		"unknown is internal": {cause, apperr.Internal},
		"own":                 {apperr.New(apperr.Conflict, "taken"), apperr.Conflict},
		"wrapped twice":       {fmt.Errorf("a: %w", fmt.Errorf("b: %w", apperr.Wrap(apperr.NotFound, cause, "gone"))), apperr.NotFound},
	} {
		if got := apperr.CodeOf(tc.err); got != tc.want {
			t.Errorf("%s: CodeOf = %q, want %q", name, got, tc.want)
		}
	}
	if !errors.Is(apperr.Wrap(apperr.Unavailable, cause, "away"), cause) {
		t.Error("the cause is lost to errors.Is")
	}
}

func TestFaultsAreReportedTogether(t *testing.T) {
	t.Parallel()
	var faults apperr.Faults
	if err := faults.Err(); err != nil {
		t.Fatalf("no faults, yet %v", err)
	}
	faults.Add("name", "is required")
	faults.Addf("limit", "must be at most %d", 100)
	var got *apperr.Error
	if !errors.As(faults.Err(), &got) {
		t.Fatal("Err is not an *apperr.Error")
	}
	want := []apperr.Field{{Name: "name", Message: "is required"}, {Name: "limit", Message: "must be at most 100"}}
	if diff := cmp.Diff(want, got.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if !faults.Has("limit") || faults.Has("page") {
		t.Error("Has does not tell the faults apart")
	}
}
