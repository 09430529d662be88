package mysql

import (
	"cmp"
	"context"
	"database/sql"
	"slices"
	"strings"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
)

// Every statement of a list is bounded, whatever the size of the tables:
// counting stops, and a page is either read along an index in its order or
// sorted out of no more rows than were counted.
const (
	// maxCounted is where counting stops: beyond it nobody turns pages.
	maxCounted = 10_000
	// maxNamedJobs is how many jobs a search by name or category is turned
	// into a list of. More are looked up from each execution, and are dense
	// enough among them to be met soon.
	maxNamedJobs = 500
	// maxJoined is how many executions are counted by looking up their jobs.
	maxJoined = 1000
	// maxFew is how many executions of named jobs are read to be sorted here, which
	// saves counting them first.
	maxFew = 1000
	// maxAtOnce is how many executions of a kind are walked to for the next kinds
	// to be bounded by the last of them.
	maxAtOnce = 200
)

// List reads a page of the history, without attempts.
func (s *History) List(ctx context.Context, q execution.Query) (execution.Page, error) {
	l, none, err := s.listing(ctx, q)
	if err != nil || none {
		return execution.Page{}, translate(err)
	}
	var parts []slice
	if l.skippable() {
		if parts, err = s.slicesOf(ctx, l); err != nil {
			return execution.Page{}, translate(err)
		}
	}
	many := l.known(parts) > maxCounted
	if few := l.few(); few > 0 {
		page, all, err := s.listFew(ctx, l, few)
		if err != nil || all {
			return page, translate(err)
		}
		many = l.job.failures.text != nil
	}
	counted, stopped := int64(maxCounted), true
	if !many {
		if counted, stopped, err = s.count(ctx, l); err != nil {
			return execution.Page{}, translate(err)
		}
	}
	page := execution.Page{Total: counted, TotalIsLowerBound: stopped}
	if q.After == nil && !stopped && int64(q.Offset) >= counted {
		return page, nil
	}
	if stopped && q.After == nil && q.Offset >= skipFrom && parts != nil {
		var reachable bool
		if l, reachable, err = s.skip(ctx, l, parts); err != nil {
			return execution.Page{}, translate(err)
		}
		page.TooDeep = !reachable
	} else {
		page.TooDeep = q.After == nil && q.Offset > execution.MaxOffset
	}
	if page.TooDeep {
		return page, nil
	}
	ids, err := s.pageIDs(ctx, l, stopped)
	if err != nil {
		return execution.Page{}, translate(err)
	}
	if len(ids) > q.Limit {
		page.More = true
		ids = ids[:q.Limit]
	}
	page.Executions, err = s.read(ctx, ids)
	return page, translate(err)
}

// placed is an execution with its place in the history.
type placed struct {
	id int64
	at time.Time
}

func scanPlaced(rows *sql.Rows) (one placed, err error) {
	err = rows.Scan(&one.id, &one.at)
	return one, err
}

func idsPlaced(all []placed) []int64 {
	ids := make([]int64, len(all))
	for i, one := range all {
		ids[i] = one.id
	}
	return ids
}

// compare orders executions as the list does.
func (l listing) compare(a, b placed) int {
	if !l.q.Oldest {
		a, b = b, a
	}
	return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id))
}

// few is how many executions are listed whole, where they are not more: those
// that are told by reading their rows, and those of named jobs, which an index
// has in no order. 0 is none.
func (l listing) few() int {
	switch {
	case l.job.failures.text != nil:
		return maxCounted
	case l.job.ids != nil && !l.ofCategory():
		return maxFew
	default:
		return 0
	}
}

// listFew is List for up to most executions, each of which is to be read once:
// all are listed, and the page is cut out of them. all reports that they are not
// more.
func (s *History) listFew(ctx context.Context, l listing, most int) (page execution.Page, all bool, err error) {
	from, where, args := l.candidates()
	found, err := queryAllSQL(ctx, s.db, scanPlaced,
		"SELECT e.id, e.scheduled_for FROM "+from+" WHERE "+where+" LIMIT ?", append(args, most+1)...)
	if err != nil || len(found) > most {
		return page, false, err
	}
	page.Total = int64(len(found))
	slices.SortFunc(found, l.compare)
	begin := min(l.q.Offset, len(found))
	if p := l.q.After; p != nil {
		after := placed{p.ID, utc(p.ScheduledFor)}
		begin, _ = slices.BinarySearchFunc(found, after, l.compare)
		if begin < len(found) && found[begin].id == p.ID {
			begin++
		}
	}
	rest := found[begin:]
	page.More = len(rest) > l.q.Limit
	page.Executions, err = s.read(ctx, idsPlaced(rest[:min(len(rest), l.q.Limit)]))
	return page, true, err
}

// count counts up to maxCounted; stopped reports that there are, or may be,
// more.
func (s *History) count(ctx context.Context, l listing) (counted int64, stopped bool, err error) {
	candidates, where, args := l.candidates()
	if l.byKind() && l.job.joined && !l.job.orError {
		// Few of the candidates may be of the jobs: it is they that are bounded.
		bounded, boundedArgs := l.candidatesAlone()
		condition, conditionArgs := l.job.condition()
		type count struct{ all, found int64 }
		of, err := queryAllSQL(ctx, s.db, func(rows *sql.Rows) (c count, err error) { err = rows.Scan(&c.all, &c.found); return c, err },
			"SELECT COUNT(*), COALESCE(SUM("+condition+"), 0) FROM ("+bounded+" LIMIT ?) AS e STRAIGHT_JOIN "+l.job.byID()+" ON j.id = e.job_id",
			slices.Concat(conditionArgs, boundedArgs, []any{maxJoined})...)
		if err != nil {
			return 0, false, err
		}
		return of[0].found, of[0].all >= maxJoined, nil
	}
	all, err := queryAllSQL(ctx, s.db, scanInto[int64],
		"SELECT COUNT(*) FROM (SELECT 1 FROM "+candidates+" WHERE "+where+" LIMIT ?) AS t", append(args, maxCounted+1)...)
	if err != nil {
		return 0, false, err
	}
	return min(all[0], maxCounted), all[0] > maxCounted, nil
}

// listing is a query turned into what its statements are made of.
type listing struct {
	q   execution.Query
	job jobRestriction
	// scheduled are the conditions on scheduled_for.
	scheduled conditions
}

type conditions struct {
	text []string
	args []any
}

func (c *conditions) add(text string, args ...any) {
	c.text = append(c.text, text)
	c.args = append(c.args, args...)
}

// listing reads what it needs of the jobs. none reports that nothing can match.
func (s *History) listing(ctx context.Context, q execution.Query) (l listing, none bool, err error) {
	l.q = q
	if q.From != nil {
		l.scheduled.add("e.scheduled_for >= ?", utc(*q.From))
	}
	if q.To != nil {
		l.scheduled.add("e.scheduled_for <= ?", utc(*q.To))
	}
	if q.DueBy != nil {
		l.scheduled.add("e.scheduled_for <= ?", utc(*q.DueBy))
	}
	l.job, err = s.restrictJobs(ctx, q)
	if err != nil {
		return l, false, err
	}
	return l, l.job.nobody, nil
}

// byKind reports that the index of statuses and triggers serves.
func (l listing) byKind() bool {
	return l.q.JobID == 0 && (l.q.Status != "" || l.q.Trigger != "" || l.job.failures.text != nil)
}

// sorted reports that the walked index holds all that is asked for, so that
// nothing is met that does not belong to the page.
func (l listing) sorted() bool {
	return !l.job.joined && l.job.ids == nil && l.job.failures.text == nil && (l.q.JobID == 0 || l.q.Trigger == "")
}

// ofCategory reports that all executions of a category's jobs are asked for,
// which are named.
func (l listing) ofCategory() bool { return l.job.ids != nil && l.job.part == "" && !l.byKind() }

// skippable reports that days were counted by all that is asked for.
func (l listing) skippable() bool {
	return l.q.JobID == 0 && !l.job.joined && l.job.ids == nil && !l.job.orError
}

func (l listing) index() string {
	switch {
	case l.q.JobID != 0 && l.q.Status != "":
		return "ix_executions_job_status"
	case l.q.JobID != 0:
		return "ix_executions_job_scheduled"
	case l.byKind():
		return "ix_executions_kind"
	default:
		return "ix_executions_scheduled"
	}
}

// kinds are the statuses and triggers that are asked for.
func (l listing) kinds() (statuses []execution.Status, triggers []execution.Trigger) {
	statuses, triggers = execution.Statuses, execution.Triggers
	switch {
	case l.q.Status != "":
		statuses = []execution.Status{l.q.Status}
	case l.job.failed: // a success has no error
		statuses = slices.DeleteFunc(slices.Clone(statuses), func(s execution.Status) bool { return s == execution.Success })
	}
	if l.q.Trigger != "" {
		triggers = []execution.Trigger{l.q.Trigger}
	}
	return statuses, triggers
}

// candidates are all that match, in no order, from whichever side is smaller.
func (l listing) candidates() (from, where string, args []any) {
	if l.ofCategory() {
		// An index of the category leads to each of its jobs faster than their
		// names do.
		l.job.joined, l.job.ids = true, nil
	}
	var all conditions
	switch {
	case l.q.JobID != 0 && l.job.joined:
		from = "executions e FORCE INDEX (" + l.index() + ") STRAIGHT_JOIN " + l.job.byID() + " ON j.id = e.job_id"
	case l.job.joined && (l.byKind() || l.job.orError):
		from = "executions e FORCE INDEX (" + l.index() + ") STRAIGHT_JOIN " + l.job.byID() + " ON j.id = e.job_id"
	case l.job.joined:
		from = "jobs j FORCE INDEX (" + l.job.index + ") STRAIGHT_JOIN executions e FORCE INDEX (ix_executions_job_scheduled) ON e.job_id = j.id"
	case l.job.ids != nil && !l.job.orError && l.q.Status != "":
		from = "executions e FORCE INDEX (ix_executions_job_status)"
	case l.job.ids != nil && !l.job.orError:
		from = "executions e FORCE INDEX (ix_executions_job_scheduled)"
	default:
		from = "executions e FORCE INDEX (" + l.index() + ")"
	}
	l.addKinds(&all)
	l.addRest(&all)
	return from, strings.Join(append(all.text, "TRUE"), " AND "), all.args
}

// candidatesAlone are the candidates by kind, whatever their job.
func (l listing) candidatesAlone() (query string, args []any) {
	var all conditions
	l.addKinds(&all)
	all.add(strings.Join(append(slices.Clone(l.scheduled.text), "TRUE"), " AND "), l.scheduled.args...)
	return "SELECT e.job_id FROM executions e FORCE INDEX (ix_executions_kind) WHERE " + strings.Join(all.text, " AND "), all.args
}

func (l listing) addKinds(c *conditions) {
	switch {
	case l.byKind():
		statuses, triggers := l.kinds()
		c.add("e.status IN ("+placeholders(len(statuses))+")", anys(statuses)...)
		c.add("e.trigger_type IN ("+placeholders(len(triggers))+")", anys(triggers)...)
	default:
		if l.q.Status != "" {
			c.add("e.status = ?", string(l.q.Status))
		}
		if l.q.Trigger != "" {
			c.add("e.trigger_type = ?", string(l.q.Trigger))
		}
	}
}

func anys[T ~string](values []T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = string(v)
	}
	return all
}

// addRest adds all but the kinds.
func (l listing) addRest(c *conditions) {
	if l.q.JobID != 0 {
		c.add("e.job_id = ?", l.q.JobID)
	}
	c.text, c.args = append(c.text, l.scheduled.text...), append(c.args, l.scheduled.args...)
	if text, args := l.job.condition(); text != "" {
		c.add(text, args...)
	}
}

// pageIDs chooses the page's ids, and one more, which tells whether others
// follow. many reports that they were too many to be counted.
func (s *History) pageIDs(ctx context.Context, l listing, many bool) ([]int64, error) {
	if many && l.byKind() && l.job.joined && l.end() <= maxAtOnce {
		return s.walkKinds(ctx, l)
	}
	query, args := l.page(many)
	return queryAllSQL(ctx, s.db, scanInto[int64], query, args...)
}

// walkKinds is pageIDs where each execution's job is looked up. Of the kind that
// most executions are of, as many are walked to as the page can hold; the other
// kinds are walked no further than to the last of those. Where kinds differ in
// their status, which changes, both see one state of the database.
func (s *History) walkKinds(ctx context.Context, l listing) ([]int64, error) {
	var of querier = s.db
	if l.q.Status == "" {
		tx, err := s.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead})
		if err != nil {
			return nil, err
		}
		defer func() { _ = tx.Rollback() }() // it has changed nothing
		of = tx
	}
	kinds := l.eachKind()
	query, args := l.branch(kinds[0], l.end())
	found, err := queryAllSQL(ctx, of, scanPlaced, query, args...)
	if err != nil {
		return nil, err
	}
	if len(kinds) > 1 {
		if len(found) == l.end() {
			last := found[len(found)-1].at
			if l.q.Oldest {
				l.scheduled.add("e.scheduled_for <= ?", last)
			} else {
				l.scheduled.add("e.scheduled_for >= ?", last)
			}
		}
		query, args := l.branches(kinds[1:], l.end())
		others, err := queryAllSQL(ctx, of, scanPlaced, query, args...)
		if err != nil {
			return nil, err
		}
		found = append(found, others...)
		slices.SortFunc(found, l.compare)
	}
	return idsPlaced(found[min(len(found), l.offset()):min(len(found), l.end())]), nil
}

// offset is how many executions the page lies behind, where no cursor tells.
func (l listing) offset() int {
	if l.q.After != nil {
		return 0
	}
	return l.q.Offset
}

// end is how many executions are walked for a page, with the one behind it.
func (l listing) end() int { return l.offset() + l.q.Limit + 1 }

// after is the condition of what comes behind the cursor.
func (l listing) after() (text string, args []any) {
	p, way := l.q.After, ">"
	if p == nil {
		return "", nil
	}
	if !l.q.Oldest {
		way = "<"
	}
	at := utc(p.ScheduledFor)
	return " AND e.scheduled_for " + way + "= ? AND (e.scheduled_for " + way + " ? OR e.id " + way + " ?)", []any{at, at, p.ID}
}

// orderBy is the list's order of the rows under an alias.
func (l listing) orderBy(alias string) string {
	way := "DESC"
	if l.q.Oldest {
		way = "ASC"
	}
	return " ORDER BY " + alias + ".scheduled_for " + way + ", " + alias + ".id " + way
}

// page chooses the page's ids, and one more, in one statement.
func (l listing) page(many bool) (query string, args []any) {
	if !many && !l.sorted() {
		// So few match that sorting them is cheap, while an index in order
		// might be walked from end to end in search of them. A limit without
		// an order, which they do not reach, keeps engines from that plan.
		from, where, args := l.candidates()
		after, afterArgs := l.after()
		return "SELECT e.id FROM (SELECT e.id, e.scheduled_for FROM " + from + " WHERE " + where + " LIMIT ?) AS e WHERE TRUE" + after +
			l.orderBy("e") + " LIMIT ? OFFSET ?", slices.Concat(args, []any{maxCounted + 1}, afterArgs, []any{l.q.Limit + 1, l.offset()})
	}
	if !l.byKind() {
		var kind conditions
		l.addKinds(&kind)
		one, args := l.branch(kind, l.q.Limit+1)
		return "SELECT t.id FROM (" + one + " OFFSET ?) AS t" + l.orderBy("t"), append(args, l.offset())
	}
	all, args := l.branches(l.eachKind(), l.end())
	return "SELECT t.id FROM (" + all + ") AS t" + l.orderBy("t") + " LIMIT ? OFFSET ?", append(args, l.q.Limit+1, l.offset())
}

// eachKind are the kinds that are asked for, each as a condition; that which most
// executions are of comes first.
func (l listing) eachKind() (kinds []conditions) {
	statuses, triggers := l.kinds()
	if i := slices.Index(statuses, execution.Success); i > 0 {
		statuses = slices.Concat([]execution.Status{execution.Success}, statuses[:i], statuses[i+1:])
	}
	for _, status := range statuses {
		for _, trigger := range triggers {
			var kind conditions
			kind.add("e.status = ? AND e.trigger_type = ?", string(status), string(trigger))
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// branches are the executions of some kinds, up to limit of each, in no order.
func (l listing) branches(kinds []conditions, limit int) (query string, args []any) {
	var all []string
	for _, kind := range kinds {
		one, oneArgs := l.branch(kind, limit)
		all, args = append(all, "("+one+")"), append(args, oneArgs...)
	}
	return strings.Join(all, " UNION ALL "), args
}

// branch are the executions of a kind, along an index in the list's order. It is
// named, lest an engine sorts all that match.
func (l listing) branch(kind conditions, limit int) (query string, args []any) {
	from := "executions e FORCE INDEX (" + l.index() + ")"
	if l.job.joined {
		from += " STRAIGHT_JOIN " + l.job.byID() + " ON j.id = e.job_id"
	}
	all := conditions{slices.Clone(kind.text), slices.Clone(kind.args)}
	l.addRest(&all)
	after, afterArgs := l.after()
	return "SELECT e.id, e.scheduled_for FROM " + from + " WHERE " + strings.Join(append(all.text, "TRUE"), " AND ") + after + l.orderBy("e") + " LIMIT ?",
		slices.Concat(all.args, afterArgs, []any{limit})
}
