package httpapi

import "strings"

// Paging is embedded by inputs of lists.
type Paging struct {
	Page  int `query:"page" default:"1" minimum:"1" maximum:"1000000000" doc:"Counted from 1; a page past the end is empty."`
	Limit int `query:"limit" default:"10" minimum:"1" maximum:"100" doc:"Records a page."`
}

// Offset is how many records come before the page.
func (p Paging) Offset() int { return (p.Page - 1) * p.Limit }

// meta describes the page, given how many records there are in all.
func (p Paging) meta(total int64) Meta {
	return Meta{Total: total, Page: p.Page, LastPage: lastPage(total, p.Limit), PerPage: p.Limit}
}

func lastPage(total int64, limit int) int64 {
	return (total + int64(limit) - 1) / int64(limit)
}

// Search is embedded by inputs of lists that can be searched.
type Search struct {
	Search string `query:"search" maxLength:"200" doc:"A part of the text, whatever its case and the space around it; % and _ mean themselves. In the history: of the job's name, and of error messages too where a jobId is given, or from, and to (or now) at most 24 hours later."`
}

// Text is what to search for; "" where nothing is.
func (s Search) Text() string { return strings.TrimSpace(s.Search) }

// Order is embedded by inputs of lists that can be sorted; the fields of
// sortBy differ and are the list's own.
type Order struct {
	SortOrder string `query:"sortOrder" enum:"asc,desc,ASC,DESC" doc:"Which end comes first; ties are broken by id."`
}

// Descending reports the order, given the one that applies where none is asked
// for.
func (o Order) Descending(byDefault bool) bool {
	if o.SortOrder == "" {
		return byDefault
	}
	return strings.EqualFold(o.SortOrder, "desc")
}
