package httpapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// documented is, by path and method, which statuses the document knows.
var documented struct {
	sync.Once
	paths map[string]map[string]struct {
		Responses map[string]any `json:"responses"`
	}
}

// requireDocumented fails a test in which the API answers what its document does
// not tell of. Every request of these tests comes by here.
func requireDocumented(t *testing.T, api http.Handler, method, target string, status int) {
	t.Helper()
	documented.Do(func() {
		rec := httptest.NewRecorder()
		api.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/api/docs-json", nil))
		var document struct {
			Paths *map[string]map[string]struct {
				Responses map[string]any `json:"responses"`
			} `json:"paths"`
		}
		document.Paths = &documented.paths
		if err := json.Unmarshal(rec.Body.Bytes(), &document); err != nil || len(documented.paths) == 0 {
			panic("the document cannot be read: " + rec.Body.String())
		}
	})
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path, _, _ := strings.Cut(target, "?")
	place := documentedPath(path)
	operation, known := documented.paths[place][strings.ToLower(method)]
	if !known {
		outside := place == "" && (status == http.StatusNotFound || strings.HasPrefix(path, "/api/docs")) || status == http.StatusMethodNotAllowed ||
			method == http.MethodOptions
		if !outside {
			t.Errorf("%s %s: %d of an operation that is not documented", method, path, status)
		}
		return
	}
	if _, told := operation.Responses[strconv.Itoa(status)]; !told {
		t.Errorf("%s %s: %d is not documented", method, place, status)
	}
}

// documentedPath is the path of the document that an address belongs to, the one
// with fewest parameters; "" where there is none.
func documentedPath(address string) string {
	parts := strings.Split(strings.TrimSuffix(address, "/"), "/")
	found, fewest := "", len(parts)+1
	for path := range documented.paths {
		names := strings.Split(path, "/")
		if len(names) != len(parts) {
			continue
		}
		parameters, fits := 0, true
		for i, name := range names {
			switch {
			case strings.HasPrefix(name, "{"):
				parameters++
			case name != parts[i]:
				fits = false
			}
		}
		if fits && parameters < fewest {
			found, fewest = path, parameters
		}
	}
	return found
}
