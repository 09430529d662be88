// Package httpapi is the HTTP face of the product: the route table, the
// middleware, and one file for each resource. It reads a request strictly,
// calls a service, and renders what that returns; it holds no rule of the
// domain and knows neither SQL nor AWS.
//
// # How a request is read
//
// huma writes the OpenAPI document from the input and output types and binds
// parameters; it does not validate. Reading is this package's own, from the
// same schemas, so that the document cannot drift from the behaviour: see
// intake.go (parameters and body), jsontree.go (strict JSON) and validate.go.
// Every fault is collected and reported at once, and no value is ever
// repeated in an answer.
//
// # How to add a route
//
// Write a handler
//
//	func (s *server) createThing(ctx context.Context, in *createThingInput) (One[thingView], error)
//
// and one line in routes.go. The input is a struct whose fields carry a path,
// query or header tag, plus a field Body for a JSON body; embed ByID and
// Paging for the usual ones (embedded types must be exported). An answer is
// One, List or None. An error is returned as it is: apperr's code decides the
// status.
//
// The tags minLength, maxLength, minimum, maximum, minItems, maxItems,
// maxProperties, enum, pattern and format are both checked and documented. A
// body field is required unless its json tag says omitempty or omitzero. Null
// is a fault unless the field says nullable:"true". Use Optional for a field
// whose absence matters, and the tag absent:"…" to document what then applies;
// never huma's default tag in a body, which also replaces an explicit zero.
//
// The tag checked:"later" keeps the bounds of a text in the document and leaves
// checking them to the service.
//
// An input that has a method Check() error may report further faults of the
// domain (an *apperr.Error with fields); they are merged with those of the
// form. Check sees the fields that were well formed, the rest left at zero.
// CheckRest is the same for inputs whose service finds all such faults itself:
// it is called only where the form is at fault already, and so is CheckRestAt,
// for rules that turn on the time, and CheckRestIn, for those that turn on what is
// stored.
package httpapi
