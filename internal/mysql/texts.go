package mysql

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/cronjobs/cronjobs/internal/job"
)

// texts keeps what searches look through in memory, for a search in the database
// reads an entry of an index for every job. Like kept, it is used only where the
// stored generation of the jobs is the one that it was read in. Reading it takes
// as long as several searches, so the first search of a generation goes to the
// database, and the second reads it.
type texts struct {
	mu         sync.Mutex
	asked      int64     // the generation of the last search
	generation int64     // of what is kept; 0: nothing is
	since      time.Time // when it was read, or found to be too large
	all        *textCopy
	tooLarge   bool
	reading    bool
}

// maxTexts is how many bytes are kept at most: those of some 130,000 jobs. Of
// more the database is asked each time.
const maxTexts = 32 << 20

// textCopy is the texts of all jobs, one behind the other in the order of their
// ids, each with what lists filter by.
type textCopy struct {
	text []byte
	jobs []textOf
}

type textOf struct {
	id, categoryID int64
	nameEnd, end   int // in text; the description lies between
	status         job.Status
	method         string
	deleted        bool
}

// afterText stands behind every text, and is part of none.
const afterText = 0xFE

// current answers what is kept, or nil where the database must be asked, and the
// generation.
func (t *texts) current(ctx context.Context, db *sql.DB) (*textCopy, int64, error) {
	generation, err := stored(ctx, db, jobsChanged)
	if err != nil {
		return nil, 0, err
	}
	t.mu.Lock()
	switch fresh := time.Since(t.since) < keptAge; {
	case t.generation == generation && fresh:
		defer t.mu.Unlock()
		return t.all, generation, nil
	case t.asked != generation, t.reading, t.tooLarge && fresh:
		defer t.mu.Unlock()
		t.asked = generation
		return nil, generation, nil
	}
	t.reading = true
	t.all, t.generation = nil, 0 // not beside what is read now
	t.mu.Unlock()
	return t.read(ctx, db, generation), generation, nil
}

// read reads the texts and keeps them. It answers nil where they are too large,
// or could not be read: the database can still be searched.
func (t *texts) read(ctx context.Context, db *sql.DB, generation int64) *textCopy {
	began := time.Now()
	var all *textCopy
	tooLarge, err := false, error(nil)
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.reading = false
		if err == nil {
			t.since, t.tooLarge = began, tooLarge
		}
		if all != nil {
			t.all, t.generation = all, generation
		}
	}()
	var jobs, bytes int
	if jobs, bytes, err = sizeOfTexts(ctx, db); err == nil {
		if tooLarge = bytes+jobs*int(unsafe.Sizeof(textOf{})) > maxTexts; !tooLarge {
			all, err = readTexts(ctx, db, jobs, bytes)
		}
	}
	if err != nil {
		slog.WarnContext(ctx, "the texts of jobs could not be read; the database is searched", "err", err)
	}
	return all
}

// sizeOfTexts is how many jobs there are and about how long their texts are.
func sizeOfTexts(ctx context.Context, db *sql.DB) (jobs, bytes int, err error) {
	type size struct{ jobs, bytes int }
	of, err := queryAllSQL(ctx, db, func(rows *sql.Rows) (s size, err error) { err = rows.Scan(&s.jobs, &s.bytes); return s, err },
		"SELECT COUNT(*), CAST(COALESCE(SUM(1 + COALESCE(LENGTH(search_text), ?) + 0e0), 0) AS SIGNED) FROM jobs FORCE INDEX (ix_jobs_search)", maxSearchText)
	if err != nil {
		return 0, 0, err
	}
	return of[0].jobs, of[0].bytes, nil
}

// readTexts reads the texts of all jobs.
func readTexts(ctx context.Context, db *sql.DB, jobs, size int) (*textCopy, error) {
	read := &textCopy{text: make([]byte, 0, size+size/64), jobs: make([]textOf, 0, jobs+jobs/64)}
	kinds := map[string]string{} // one string for all jobs of a status or a method
	kind := func(text []byte) string {
		if _, known := kinds[string(text)]; !known {
			kinds[string(text)] = string(text)
		}
		return kinds[string(text)]
	}
	var status, method, search, name, description sql.RawBytes
	_, err := queryAllSQL(ctx, db, func(rows *sql.Rows) (_ struct{}, err error) {
		var of textOf
		if err := rows.Scan(&of.id, &of.categoryID, &status, &method, &of.deleted, &search, &name, &description); err != nil {
			return struct{}{}, err
		}
		of.status, of.method = job.Status(kind(status)), kind(method)
		begin := len(read.text)
		if search != nil {
			read.text = append(read.text, search...)
		} else { // too long for the index
			read.text = append(read.text, foldedText(string(name), string(description))...)
		}
		of.nameEnd, of.end = begin+bytes.IndexByte(read.text[begin:], afterName), len(read.text)
		read.text = append(read.text, afterText)
		read.jobs = append(read.jobs, of)
		return struct{}{}, nil
	}, `SELECT id, category_id, status, method, deleted_at IS NOT NULL, search_text, IF(search_text IS NULL, name, ''), IF(search_text IS NULL, description, '')
		FROM jobs ORDER BY id`)
	if err != nil {
		return nil, err
	}
	return read, nil
}

// find lists the ids of the jobs, in their order, that a filter asks for.
func (c *textCopy) find(filter job.Filter) []int64 {
	var found []int64
	c.each(filter.Search, func(of *textOf, _ int) bool {
		if !of.deleted && (filter.Status == "" || of.status == filter.Status) && (filter.Method == "" || of.method == filter.Method) &&
			(filter.CategoryID == 0 || of.categoryID == filter.CategoryID) {
			found = append(found, of.id)
		}
		return true
	})
	return found
}

// named lists up to limit jobs, deleted ones too, whose names hold a text, of one
// category or, where that is 0, of any.
func (c *textCopy) named(part string, categoryID int64, limit int) []int64 {
	var found []int64
	c.each(part, func(of *textOf, end int) bool {
		if end <= of.nameEnd && (categoryID == 0 || of.categoryID == categoryID) {
			found = append(found, of.id)
		}
		return len(found) < limit
	})
	return found
}

// each calls what for each job whose text holds a part, with the end of the first
// such place, until that answers that it has enough.
func (c *textCopy) each(part string, what func(of *textOf, end int) bool) {
	wanted := []byte(strings.ToLower(part))
	for at, n := 0, 0; ; {
		next := bytes.Index(c.text[at:], wanted)
		if next < 0 {
			return
		}
		at += next
		behind, _ := slices.BinarySearchFunc(c.jobs[n:], at, func(of textOf, at int) int { return of.end - at })
		n += behind
		if !what(&c.jobs[n], at+len(wanted)) {
			return
		}
		if at = c.jobs[n].end + 1; at >= len(c.text) {
			return
		}
		n++
	}
}
