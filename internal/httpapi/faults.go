package httpapi

import (
	"errors"
	"fmt"

	"github.com/cronjobs/cronjobs/internal/apperr"
)

// faultList collects the faults of one request.
type faultList []apperr.Field

func (f *faultList) add(field, message string) {
	*f = append(*f, apperr.Field{Name: field, Message: message})
}

func (f *faultList) addf(field, format string, args ...any) {
	f.add(field, fmt.Sprintf(format, args...))
}

// merge adds the faults that the domain found, but for those of fields whose
// form was at fault already: what is missing or malformed has been said. It
// returns an error of any other kind.
func (f *faultList) merge(err error) error {
	if err == nil {
		return nil
	}
	var coded *apperr.Error
	if !errors.As(err, &coded) || coded.Code != apperr.Invalid || len(coded.Fields) == 0 {
		return err
	}
	formal := *f
	for _, found := range coded.Fields {
		if !apperr.Covers(formal, found.Name) {
			*f = append(*f, found)
		}
	}
	return nil
}

// err is nil where there are no faults.
func (f faultList) err() error {
	if len(f) == 0 {
		return nil
	}
	return apperr.InvalidFields(f)
}
