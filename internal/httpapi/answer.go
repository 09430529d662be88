package httpapi

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// One answers with one thing. The zero Status is 200.
type One[T any] struct {
	Data    T
	Status  int // 201 for what was created, 202 for what is under way
	Message string
	// Location is the path of what was created or accepted; "" sends none.
	Location string
	// Version is the ETag; 0 sends none.
	Version int
	// Revalidate is what a weak ETag is taken over, with 304 for who has it;
	// nil sends none. Where it is the answer itself, allButItsTime says so.
	Revalidate any
}

// allButItsTime is what most weak ETags are taken over: the answer, but for the
// time at which it was given.
type allButItsTime struct{}

// List answers with a page of things.
type List[T any] struct {
	Data []T
	Meta Meta
}

// None answers with null data: done.
type None struct {
	Message string
}

// Meta says which part of a list an answer holds.
type Meta struct {
	Total    int64 `json:"total" doc:"How many records there are on all pages."`
	Page     int   `json:"page" example:"1"`
	LastPage int64 `json:"lastPage" doc:"0 where there are no records."`
	PerPage  int   `json:"perPage" example:"10"`
}

// Success is the answer to a request that succeeded.
type Success[T any] struct {
	Success   bool      `json:"success" enum:"true"`
	Data      T         `json:"data"`
	Message   string    `json:"message,omitempty"`
	Timestamp Timestamp `json:"timestamp"`
}

// Page is the answer to a request for a list.
type Page[T, M any] struct {
	Success   bool      `json:"success" enum:"true"`
	Data      []T       `json:"data"`
	Meta      M         `json:"meta"`
	Timestamp Timestamp `json:"timestamp"`
}

// done is the document's view of None.
type done struct {
	Success   bool      `json:"success" enum:"true"`
	Data      any       `json:"data" doc:"Always null."`
	Message   string    `json:"message,omitempty"`
	Timestamp Timestamp `json:"timestamp"`
}

// answer is what a handler may return: One, List or None.
type answer interface {
	render(now Timestamp) rendered
	documents() reflect.Type
}

// rendered is an answer before it is encoded.
type rendered struct {
	status   int
	envelope any
	header   map[string]string
	// revalidated is what the weak ETag is taken over; nil: no weak ETag.
	revalidated any
	// text stands in the place of the envelope where it is not nil: plain text,
	// or what media says.
	text  *string
	media string
}

func (a One[T]) render(now Timestamp) rendered {
	out := rendered{
		status:   a.Status,
		envelope: Success[T]{Success: true, Data: a.Data, Message: a.Message, Timestamp: now},
		header:   map[string]string{},
	}
	if out.status == 0 {
		out.status = http.StatusOK
	}
	if a.Location != "" {
		out.header["Location"] = a.Location
	}
	if a.Version > 0 {
		out.header["ETag"] = etag(a.Version)
	}
	out.revalidated = a.Revalidate
	return out
}

func (One[T]) documents() reflect.Type { return reflect.TypeFor[Success[T]]() }

func (a List[T]) render(now Timestamp) rendered {
	return renderPage(a.Data, a.Meta, now)
}

// renderPage renders a list with any kind of meta.
func renderPage[T, M any](data []T, meta M, now Timestamp) rendered {
	if data == nil {
		data = []T{}
	}
	return rendered{
		status:      http.StatusOK,
		envelope:    Page[T, M]{Success: true, Data: data, Meta: meta, Timestamp: now},
		revalidated: allButItsTime{},
	}
}

func (List[T]) documents() reflect.Type { return reflect.TypeFor[Page[T, Meta]]() }

func (a None) render(now Timestamp) rendered {
	return rendered{
		status:   http.StatusOK,
		envelope: done{Success: true, Message: a.Message, Timestamp: now},
	}
}

func (None) documents() reflect.Type { return reflect.TypeFor[done]() }

// encoded is an answer in full, before a byte of it is written: a failure to
// encode is an error and not half an answer.
type encoded struct {
	status int
	header map[string]string // those that are "" are not sent
	body   []byte
	media  string // of a body that is no JSON
	// weakTag is set where the client may have the answer already.
	weakTag string
}

// timeAtEnd is as long as what ends every answer that is a success.
const timeAtEnd = `,"timestamp":"` + timestampLayout + `"}`

func (s *server) encodeAnswer(a answer) (encoded, error) {
	rendered := a.render(Timestamp(s.now()))
	if rendered.text != nil {
		return encoded{status: rendered.status, header: rendered.header, body: []byte(*rendered.text), media: cmp.Or(rendered.media, textType)}, nil
	}
	body, err := encode(rendered.envelope)
	if err != nil {
		return encoded{}, err
	}
	out := encoded{status: rendered.status, header: rendered.header, body: body}
	if rendered.revalidated != nil {
		seen := body[:len(body)-len(timeAtEnd)]
		if _, all := rendered.revalidated.(allButItsTime); !all {
			if seen, err = encode(rendered.revalidated); err != nil {
				return encoded{}, err
			}
		}
		sum := sha256.Sum256(seen)
		out.weakTag = `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	}
	return out, nil
}

// writeEncoded sends an answer, or 304 to who has it.
func writeEncoded(w http.ResponseWriter, r *http.Request, out encoded) {
	for name, value := range out.header {
		switch {
		case value == "":
		case name == "Vary": // beside what the outer layers vary by
			w.Header().Add(name, value)
		default:
			w.Header().Set(name, value)
		}
	}
	if out.weakTag != "" {
		w.Header().Set("ETag", out.weakTag)
		if matchesWeakly(r.Header.Values("If-None-Match"), out.weakTag) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if out.media != "" {
		writeTyped(w, out.status, out.media+"; charset=utf-8", out.body)
		return
	}
	writeBody(w, out.status, out.body)
}

// etag is the strong ETag of a version.
func etag(version int) string { return `"` + strconv.Itoa(version) + `"` }

// matchesWeakly reports whether If-None-Match names the tag, or any.
func matchesWeakly(headers []string, tag string) bool {
	for _, one := range strings.Split(strings.Join(headers, ","), ",") {
		one = strings.TrimSpace(one)
		if one == "*" || strings.TrimPrefix(one, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}
