// Command openapi writes the API's OpenAPI document to its standard output, as
// GET /api/docs-json answers it. It needs neither a database nor AWS.
package main

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"

	"github.com/cronjobs/cronjobs/internal/httpapi"
)

func main() {
	api := httpapi.New(httpapi.Deps{Log: slog.New(slog.DiscardHandler)})
	answer := httptest.NewRecorder()
	api.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "/api/docs-json", nil))
	if answer.Code != http.StatusOK {
		fmt.Fprintln(os.Stderr, "the document cannot be had:", answer.Code)
		os.Exit(1)
	}
	if _, err := answer.Body.WriteTo(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
