package audit_test

import (
	"slices"
	"testing"

	"github.com/cronjobs/cronjobs/internal/audit"
)

func TestEveryActionIsOfAKind(t *testing.T) {
	t.Parallel()
	for _, action := range audit.Actions {
		if !slices.Contains(audit.Entities, action.Of()) {
			t.Errorf("%s is done to a %q, which is no entity", action, action.Of())
		}
	}
}
