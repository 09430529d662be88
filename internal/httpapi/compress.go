package httpapi

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
)

// compressFrom is the size in bytes from which an answer is worth compressing.
const compressFrom = 1024

// compress shortens larger answers for clients that take it: the gateway does
// not. Streams are left alone, for they are answered as they come.
func compress(next http.Handler) http.Handler {
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(compressFrom),
		gzhttp.ContentTypes([]string{"application/json", "text/html", "text/css", "text/javascript", "text/plain", "text/csv"}))
	if err != nil {
		panic("compression is set up wrongly: " + err.Error()) // a constant's fault
	}
	return wrap(next)
}
