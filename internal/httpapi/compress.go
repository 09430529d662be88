package httpapi

import (
	"net/http"

	"github.com/klauspost/compress/gzhttp"
	"github.com/klauspost/compress/gzip"
)

// compressFrom is the size in bytes from which an answer is worth compressing.
const compressFrom = 1024

// compress shortens larger answers for clients that take it: the gateway does
// not. Streams are left alone, for they are answered as they come.
func compress(next http.Handler) http.Handler {
	// The fastest level makes JSON nearly as short as the others, in half their
	// time, of which the client waits for all.
	wrap, err := gzhttp.NewWrapper(gzhttp.MinSize(compressFrom), gzhttp.CompressionLevel(gzip.BestSpeed),
		gzhttp.ContentTypes([]string{"application/json", "text/html", "text/css", "text/javascript", "text/plain", "text/csv"}))
	if err != nil {
		panic("compression is set up wrongly: " + err.Error()) // a constant's fault
	}
	return wrap(next)
}
