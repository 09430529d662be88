package job

import (
	"testing"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// TestBulkResumesNoJobWhoseSecretIsMissing starts, among others, one that was
// imported or copied without a secret of its own.
func TestBulkResumesNoJobWhoseSecretIsMissing(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		reason string
		action BulkAction
		code   apperr.Code
		status Status
	}{
		"a secret is missing":               {reasonSecretMissing, BulkResume, apperr.Invalid, ""},
		"a secret is missing, and is moved": {reasonSecretMissing, BulkMove, "", Inactive},
		"it was paused":                     {"", BulkResume, "", Active},
		"it has failed":                     {"20 failures", BulkResume, "", Active},
	} {
		current := keeper()
		current.Status, current.StatusReason, current.NextRunAt = Inactive, test.reason, nil
		bulk := Bulk{Action: test.action, IDs: []int64{current.ID}}
		var home *CategoryRef
		if test.action == BulkMove {
			bulk.CategoryID, home = 9, &CategoryRef{ID: 9, Name: "Other", Status: CategoryActive}
		}
		changed, err := bulk.change(current, home, noon)
		if apperr.CodeOf(err) != test.code || changed.Job.Status != test.status {
			t.Errorf("%s: %q, %v", name, changed.Job.Status, err)
		}
	}
}
