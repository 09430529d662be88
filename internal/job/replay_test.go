package job

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReplayedUnder(t *testing.T) {
	t.Parallel()
	first := Request{
		Method: "POST", URL: "https://a.example/x", Body: []byte(`"old"`), BodySecret: true, OverlapPolicy: OverlapAllow,
		Headers:       map[string]string{"Authorization": "old", "X-Plain": "old", "X-Mine": "old", "X-Token": "old"},
		SecretHeaders: []string{"X-Mine"},
	}
	headers := func(authorization string) map[string]string {
		return map[string]string{"Authorization": authorization, "X-Plain": "old", "X-Mine": "old", "X-Token": "old"}
	}
	for name, tc := range map[string]struct {
		present Request
		headers map[string]string
	}{
		"the value was replaced": {
			Request{URL: "https://a.example/other", Headers: map[string]string{"authorization": "new", "X-Plain": "new", "X-Mine": "public now"}},
			headers("new"),
		},
		"it is for another host now": {
			Request{URL: "https://b.example/x", Headers: map[string]string{"Authorization": "new"}},
			headers("old"),
		},
		"it is missing": {
			Request{URL: "https://a.example/x", Headers: map[string]string{"Authorization": Mask}},
			headers("old"),
		},
		"it is gone": {Request{URL: "https://a.example/x"}, headers("old")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.present.OverlapPolicy = OverlapSkip
			want := first
			want.Headers, want.OverlapPolicy = tc.headers, OverlapSkip
			if diff := cmp.Diff(want, first.ReplayedUnder(tc.present)); diff != "" {
				t.Error(diff)
			}
			if first.Headers["Authorization"] != "old" {
				t.Error("the request itself was changed")
			}
		})
	}
	bare := Request{URL: "https://a.example/x"}
	if got := bare.ReplayedUnder(Request{URL: bare.URL}); got.Headers != nil {
		t.Errorf("headers %v out of none", got.Headers)
	}
}
