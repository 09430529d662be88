package httpapi

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestLargeAnswersAreCompressed(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, nil)
	ask := func(path, accepts string) *http.Response {
		t.Helper()
		request := httptest.NewRequestWithContext(t.Context(), "GET", path, nil)
		if accepts != "" {
			request.Header.Set("Accept-Encoding", accepts)
		}
		recorder := httptest.NewRecorder()
		tr.handler().ServeHTTP(recorder, request)
		answer := recorder.Result()
		t.Cleanup(func() { _ = answer.Body.Close() })
		if vary := strings.Join(answer.Header.Values("Vary"), ", "); !strings.Contains(vary, "Accept-Encoding") {
			t.Errorf("%s: Vary is %q", path, vary)
		}
		return answer
	}
	read := func(from io.Reader) string {
		t.Helper()
		body, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}

	plain := ask("/api/docs-json", "")
	if encoding := plain.Header.Get("Content-Encoding"); encoding != "" {
		t.Errorf("an answer to who takes no encoding is encoded as %q", encoding)
	}
	packed := ask("/api/docs-json", "gzip, br")
	if encoding := packed.Header.Get("Content-Encoding"); encoding != "gzip" {
		t.Fatalf("encoding %q", encoding)
	}
	unpacked, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := read(unpacked), read(plain.Body); got != want {
		t.Errorf("unpacked %d bytes, plain %d, which differ", len(got), len(want))
	}
	if small := ask("/health/live", "gzip"); small.Header.Get("Content-Encoding") != "" {
		t.Error("a small answer is encoded")
	}
}
