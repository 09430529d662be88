package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
)

// stretch is a part of a list of jobs that one index holds in order. FROM is a
// source of j whose index is named, lest an engine sorts all of them instead.
type stretch struct {
	from   string
	where  string // beside the filter
	args   []any
	live   bool   // no deleted job is in it
	key    string // "" where the id alone orders
	id     string
	picks  string     // the id of the job; "" is j.id
	status job.Status // of all its jobs, where they have one in common
	// few is where it is counted to know how many the other part holds.
	few bool
	// ahead are those of its jobs that stand in the list before their place in the
	// index.
	ahead []aheadJob
}

// walkJobs reads a page of jobs by walking indexes in its order. match holds
// for many of them, total.
func (s *Jobs) walkJobs(ctx context.Context, filter job.Filter, match jobMatch, total int, now time.Time) ([]int64, error) {
	whole := stretch{from: "jobs j FORCE INDEX (ix_jobs_live)", where: "TRUE", id: "j.id"}
	switch filter.Sort {
	case job.SortName:
		// Unique, so it needs no id; NULL exactly where the job is deleted.
		whole.from, whole.where, whole.key, whole.id = "jobs j FORCE INDEX (uq_jobs_name_key)", "j.name_key IS NOT NULL", "", "j.name_key"
		whole.live = true
		if filter.CategoryID != 0 {
			whole.from = "jobs j FORCE INDEX (ix_jobs_category_name)"
		}
	case job.SortCreatedAt:
		whole.from, whole.key = "jobs j FORCE INDEX (ix_jobs_created)", "j.created_at"
	case job.SortUpdatedAt:
		whole.from, whole.key = "jobs j FORCE INDEX (ix_jobs_updated)", "j.updated_at"
	case job.SortStatus:
		return s.walkStretches(ctx, filter, match, byStatus(filter), total)
	case job.SortLastRunAt:
		return s.walkLastRuns(ctx, filter, match, total)
	case job.SortNextRunAt:
		return s.walkNextRuns(ctx, filter, match, total, now)
	default:
	}
	return s.readNearest(ctx, filter, match, whole, filter.Offset, min(filter.Limit, total-filter.Offset), total)
}

// walkLastRuns walks jobs in the order of their last run; those that never ran
// come last.
func (s *Jobs) walkLastRuns(ctx context.Context, filter job.Filter, match jobMatch, total int) ([]int64, error) {
	ran := stretch{
		from:  "job_stats s FORCE INDEX (ix_job_stats_last_run) STRAIGHT_JOIN jobs j FORCE INDEX (ix_jobs_live) ON j.id = s.job_id",
		where: "s.deleted = FALSE AND s.last_run_at IS NOT NULL", key: "s.last_run_at", id: "s.job_id",
	}
	never := stretch{from: "jobs j FORCE INDEX (ix_jobs_live) LEFT JOIN job_stats s ON s.job_id = j.id", where: "s.last_run_at IS NULL", id: "j.id"}
	if filter.Offset < deepPage || match.fromHead {
		return s.walkStretches(ctx, filter, match, []stretch{ran, never}, total)
	}
	told, err := s.census.statsTell(ctx, match.told.jobs)
	if err != nil {
		return nil, err
	}
	if told {
		never.from, never.where, never.id, never.few = ran.from, "s.deleted = FALSE AND s.last_run_at IS NULL", "s.job_id", true
		if !match.narrow() {
			const alone = "job_stats s FORCE INDEX (ix_job_stats_last_run)"
			ran.from, ran.live, ran.picks = alone, true, "s.job_id"
			never.from, never.live, never.picks = alone, true, "s.job_id"
		}
	}
	return s.walkDeep(ctx, filter, match, []stretch{ran, never}, total)
}

// byStatus is one stretch for each status, in the order of their names.
func byStatus(filter job.Filter) []stretch {
	statuses := []job.Status{job.Active, job.Failed, job.Inactive}
	if filter.Status != "" {
		statuses = []job.Status{filter.Status}
	}
	if filter.Descending {
		slices.Reverse(statuses)
	}
	all := make([]stretch, len(statuses))
	for i, status := range statuses {
		all[i] = stretch{from: "jobs j FORCE INDEX (ix_jobs_status)", where: "j.status = ?", args: []any{string(status)}, id: "j.id", status: status}
	}
	return all
}

// condition is what is asked of the stretch's jobs; nothing where it would only
// make their rows be read.
func (p stretch) condition(match jobMatch) (string, []any) {
	if p.live && !match.narrow() {
		return "TRUE", nil
	}
	return match.all()
}

// readStretch reads some ids of a stretch from its head.
func (s *Jobs) readStretch(ctx context.Context, filter job.Filter, match jobMatch, part stretch, offset, limit int) ([]int64, error) {
	read, err := part.withAhead(filter.Descending, offset, limit, func(offset, limit int) ([]standing, error) {
		return s.readFrom(ctx, filter.Descending, match, part, nil, offset, limit)
	})
	return jobIDs(read), err
}

func jobIDs(read []standing) []int64 {
	var all []int64
	for _, one := range read {
		all = append(all, one.jobID)
	}
	return all
}

// readFrom reads some jobs of a stretch, in either direction, from a place in it
// or, where that is nil, from an end.
func (s *Jobs) readFrom(ctx context.Context, descending bool, match jobMatch, part stretch, from *standing, offset, limit int) ([]standing, error) {
	all, args := part.condition(match)
	args = slices.Concat(part.args, args)
	way, beyond := " ASC", ">"
	if descending {
		way, beyond = " DESC", "<"
	}
	order, columns := part.id+way, part.id
	if part.key != "" {
		order, columns = part.key+way+", "+order, part.key+", "+part.id
	}
	switch {
	case from == nil:
	case part.key == "":
		all, args = all+" AND "+part.id+" "+beyond+"= ?", append(args, from.id)
	default:
		all += " AND " + part.key + " " + beyond + "= ? AND (" + part.key + " " + beyond + " ? OR " + part.id + " " + beyond + "= ?)"
		args = append(args, from.key, from.key, from.id)
	}
	return queryAllSQL(ctx, s.db, func(rows *sql.Rows) (one standing, err error) {
		targets := []any{&one.jobID, &one.id}
		if part.key != "" {
			targets = []any{&one.jobID, &one.key, &one.id}
		}
		err = rows.Scan(targets...)
		if text, ok := one.id.([]byte); ok {
			one.id = string(text) // as bytes it would be compared as such
		}
		return one, err
	}, "SELECT "+cmp.Or(part.picks, "j.id")+", "+columns+" FROM "+part.from+" WHERE "+part.where+" AND "+all+" ORDER BY "+order+" LIMIT ? OFFSET ?",
		append(args, limit, offset)...)
}

// deepPage is the offset from which stretches are counted before they are read.
const deepPage = 1000

// walkStretches reads a page from stretches that follow each other and hold
// total jobs in all. One that the page lies behind is counted, to know how far.
func (s *Jobs) walkStretches(ctx context.Context, filter job.Filter, match jobMatch, parts []stretch, total int) ([]int64, error) {
	if filter.Offset >= deepPage && !match.fromHead {
		return s.walkDeep(ctx, filter, match, parts, total)
	}
	var ids []int64
	offset := filter.Offset
	for _, part := range parts {
		found, err := s.readStretch(ctx, filter, match, part, offset, filter.Limit-len(ids))
		if err != nil {
			return nil, err
		}
		if ids = append(ids, found...); len(ids) == filter.Limit {
			break
		}
		if len(found) == 0 && offset > 0 {
			n, err := s.countStretch(ctx, match, part)
			if err != nil {
				return nil, err
			}
			offset = max(0, offset-n)
			continue
		}
		offset = 0
	}
	return ids, nil
}

// walkDeep is walkStretches for a page that lies deep: each stretch is read from
// the nearest place that is known. One of them holds what the others leave: the
// last, unless that has few.
func (s *Jobs) walkDeep(ctx context.Context, filter job.Filter, match jobMatch, parts []stretch, total int) ([]int64, error) {
	sizes := make([]int, len(parts))
	rest := len(parts) - 1
	if parts[rest].few {
		_, known := s.knownSize(filter, match, parts[rest])
		rest = 0
		// In the first half the page mostly lies nearer to the head, and is there
		// without anything being counted.
		if !known && filter.Offset+filter.Limit <= total/2 {
			if ids, err := s.readStretch(ctx, filter, match, parts[0], filter.Offset, filter.Limit); err != nil || len(ids) == filter.Limit {
				return ids, err
			}
		}
	}
	for i, part := range parts {
		if i == rest {
			continue
		}
		var err error
		if sizes[i], err = s.countPart(ctx, filter, match, part); err != nil {
			return nil, err
		}
		total -= sizes[i]
	}
	sizes[rest] = max(0, total)
	var ids []int64
	offset := filter.Offset
	for i, part := range parts {
		n := sizes[i]
		if offset >= n {
			offset -= n
			continue
		}
		found, err := s.readNearest(ctx, filter, match, part, offset, min(filter.Limit-len(ids), n-offset), n)
		if err != nil {
			return nil, err
		}
		if ids = append(ids, found...); len(ids) == filter.Limit {
			break
		}
		offset = 0
	}
	return ids, nil
}

// worthLearning is how many jobs must have been passed over for a place to be
// worth remembering.
const worthLearning = 200

// readNearest reads some ids, all of them there, of a stretch that holds n jobs,
// from the nearest end, or from a place that is known and nearer.
func (s *Jobs) readNearest(ctx context.Context, filter job.Filter, match jobMatch, part stretch, offset, limit, n int) ([]int64, error) {
	if match.fromHead {
		return s.readStretch(ctx, filter, match, part, offset, limit)
	}
	read, err := part.withAhead(filter.Descending, offset, limit, func(offset, limit int) ([]standing, error) {
		lo := offset // in ascending order
		limit = min(limit, n-offset)
		if filter.Descending {
			lo = n - offset - limit
		}
		read, err := s.readRanks(ctx, filter, match, part, lo, lo+limit, n)
		if filter.Descending {
			slices.Reverse(read)
		}
		return read, err
	})
	return jobIDs(read), err
}

// readRanks reads the jobs of a stretch from rank lo to before hi, in ascending
// order.
func (s *Jobs) readRanks(ctx context.Context, filter job.Filter, match jobMatch, part stretch, lo, hi, n int) ([]standing, error) {
	var before, behind *standing
	list, places := listOf(filter, part), s.places[match.order]
	if match.remembers(filter) {
		before, behind = places.around(match.told, list, lo, hi)
	}
	up, down := lo, n-hi // how many are passed over
	if before != nil {
		up = lo - before.rank
	}
	if behind != nil {
		down = behind.rank - hi + 1
	}
	descending, from, skipped := false, before, up
	if down < up {
		descending, from, skipped = true, behind, down
	}
	read, err := s.readFrom(ctx, descending, match, part, from, skipped, hi-lo)
	if err != nil {
		return nil, err
	}
	if descending {
		slices.Reverse(read)
	}
	if match.remembers(filter) && skipped >= worthLearning && lo < hi && len(read) == hi-lo {
		first, last := read[0], read[len(read)-1]
		first.rank, last.rank = lo, hi-1
		places.learn(match.told, list, first, last)
	}
	return read, nil
}

// remembers reports that all that the list changes with is known, so that places
// in it can be remembered for as long as that stands.
func (m jobMatch) remembers(filter job.Filter) bool {
	byRuns := filter.Sort == job.SortNextRunAt || filter.Sort == job.SortLastRunAt
	return m.told.jobs != 0 && (m.told.order != 0 || !byRuns)
}

// knownSize is how many jobs of a stretch match, where that is remembered.
func (s *Jobs) knownSize(filter job.Filter, match jobMatch, part stretch) (n int, known bool) {
	if !match.remembers(filter) {
		return 0, false
	}
	return s.places[match.order].size(match.told, listOf(filter, part))
}

// countPart is countStretch, by what is known where that tells.
func (s *Jobs) countPart(ctx context.Context, filter job.Filter, match jobMatch, part stretch) (int, error) {
	if n, known := s.knownSize(filter, match, part); known {
		return n, nil
	}
	if part.status != "" && counted(filter) {
		filter.Status = part.status
		n, _, err := s.countKnown(ctx, filter, match.told.jobs)
		return n, err
	}
	n, err := s.countStretch(ctx, match, part)
	if err == nil && match.remembers(filter) {
		s.places[match.order].learnSize(match.told, listOf(filter, part), n)
	}
	return n, err
}

func (s *Jobs) countStretch(ctx context.Context, match jobMatch, part stretch) (int, error) {
	all, args := part.condition(match)
	counted, err := queryAllSQL(ctx, s.db, scanInto[int], "SELECT COUNT(*) FROM "+part.from+" WHERE "+part.where+" AND "+all,
		slices.Concat(part.args, args)...)
	if err != nil {
		return 0, err
	}
	return counted[0], nil
}

// aheadJob is a job that stands in a list before its place in the index: a claim
// moves next_run_at past the instants that it has recorded, of which the job's
// next run is the first. Such are at most those of some minutes.
type aheadJob struct {
	id       int64
	at, next time.Time // in the list, and in the index
}

// walkNextRuns walks jobs in the order of their next run; those that have none
// come last.
func (s *Jobs) walkNextRuns(ctx context.Context, filter job.Filter, match jobMatch, total int, now time.Time) ([]int64, error) {
	all, args := match.all()
	ahead, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (a aheadJob, err error) { err = rows.Scan(&a.id, &a.at, &a.next); return a, err },
		`SELECT j.id, w.at, j.next_run_at FROM
		(SELECT e.job_id, MIN(e.scheduled_for) AS at FROM executions e FORCE INDEX (ix_executions_kind)
			WHERE e.status IN ('pending', 'queued') AND e.trigger_type = 'schedule' AND e.scheduled_for > ? GROUP BY e.job_id) AS w
		STRAIGHT_JOIN jobs j ON j.id = w.job_id WHERE j.next_run_at > w.at AND `+all, append([]any{utc(now)}, args...)...)
	if err != nil {
		return nil, err
	}
	first := stretch{
		from: "jobs j FORCE INDEX (ix_jobs_next_run)", where: "j.next_run_at IS NOT NULL", key: "j.next_run_at", id: "j.id",
		live: true, ahead: ahead,
	}
	last := stretch{from: "jobs j FORCE INDEX (ix_jobs_next_run)", where: "j.next_run_at IS NULL", id: "j.id", few: true}
	return s.walkStretches(ctx, filter, match, []stretch{first, last}, total)
}

// withAhead reads some of a stretch's jobs as they stand in the list. read reads
// them as they stand in the index, either in the order of the page.
//
// Where m jobs are ahead, each other job stands at most m further behind in the
// list than in the index: the jobs that lie so far before the page in the index,
// which in descending order is behind it, are read with it.
func (p stretch) withAhead(descending bool, offset, limit int, read func(offset, limit int) ([]standing, error)) ([]standing, error) {
	if len(p.ahead) == 0 {
		return read(offset, limit)
	}
	begin, end := max(0, offset-len(p.ahead)), offset+limit
	if descending {
		begin, end = offset, offset+limit+len(p.ahead)
	}
	window, err := read(begin, end-begin)
	if err != nil || len(window) == 0 {
		return nil, err
	}
	order := func(a, b time.Time, aID, bID int64) int {
		if descending {
			a, b, aID, bID = b, a, bID, aID
		}
		return cmp.Or(a.Compare(b), cmp.Compare(aID, bID))
	}
	at := func(s standing) time.Time { return s.key.(time.Time) }
	moved := make(map[int64]bool, len(p.ahead))
	for _, a := range p.ahead {
		moved[a.id] = true
		if order(a.next, at(window[0]), a.id, window[0].jobID) < 0 {
			begin-- // it does not stand before the window any more
		}
	}
	begin = max(begin, 0) // a claim may have moved them since they were told
	listed := slices.DeleteFunc(window, func(s standing) bool { return moved[s.jobID] })
	for _, a := range p.ahead {
		listed = append(listed, standing{jobID: a.id, key: a.at})
	}
	slices.SortFunc(listed, func(a, b standing) int { return order(at(a), at(b), a.jobID, b.jobID) })
	// begin are those that come before the first of the others.
	listed = listed[min(len(listed), offset-begin):]
	return listed[:min(len(listed), limit)], nil
}
