package seed

import (
	"maps"
	"slices"
	"sort"
	"time"

	"github.com/cronjobs/cronjobs/internal/execution"
	"github.com/cronjobs/cronjobs/internal/mysql"
)

// sample is what the run adds to the summaries.
func (r run) sample() execution.Sample {
	s := execution.Sample{Status: execution.Status(r.status), Count: 1, Ran: r.started != 0}
	if s.Ran {
		s.Duration = time.Duration(r.ended-r.started) * time.Millisecond
		s.Lateness = time.Duration(r.started-r.at) * time.Millisecond
	}
	return s
}

const (
	hourMillis = 60 * 60 * 1000
	spanDays   = int(span / (24 * time.Hour))
)

const rollupColumns = "job_id, hour, category_id, " + mysql.SummaryColumns

// rollupAppender sorts the runs by their jobs when the first row is asked for.
func (p Plan) rollupAppender() func(t *rows, job int) {
	var runs []int32 // by job, and within it by instant
	var ends []int   // of each job's, in runs
	return func(t *rows, job int) {
		if runs == nil {
			runs, ends = p.runsByJob()
		}
		category := int64(p.job(job).category)
		var sum execution.Summary
		hour := int64(0)
		write := func() {
			if sum.Total() == 0 {
				return
			}
			t.begin()
			t.number(int64(job))
			t.instant(hour * hourMillis)
			t.number(category)
			t.summary(&sum)
			t.end()
			sum = execution.Summary{}
		}
		for _, n := range runs[ends[job-1]:ends[job]] {
			r := p.run(int(n))
			if at := r.at / hourMillis; at != hour {
				write()
				hour = at
			}
			sum.Add(r.sample())
		}
		write()
	}
}

// runsByJob lists the runs of job after job; those of the nth end at ends[n].
func (p Plan) runsByJob() (runs []int32, ends []int) {
	starts := make([]int, p.Jobs+2)
	for n := 1; n <= p.Executions; n++ {
		starts[p.jobOf(n)+1]++
	}
	for job := 1; job < len(starts); job++ {
		starts[job] += starts[job-1]
	}
	ends = slices.Clone(starts[1:])
	runs = make([]int32, p.Executions)
	for n := 1; n <= p.Executions; n++ {
		job := p.jobOf(n)
		runs[starts[job]] = int32(n)
		starts[job]++
	}
	return runs, ends
}

const totalColumns = "span, start, category_id, " + mysql.SummaryColumns

// appendTotals writes what the nth day of the history adds up to, and each of
// its hours, in all and by category.
func (p Plan) appendTotals(t *rows, n int) {
	begin := p.Until.Add(-span).UnixMilli() + int64(n-1)*dayMillis
	byDay := map[int]*execution.Summary{}
	first := p.firstAt(begin)
	for hour := begin; hour < begin+dayMillis; hour += hourMillis {
		next := p.firstAt(hour + hourMillis)
		byHour := map[int]*execution.Summary{}
		for run := first; run < next; run++ {
			r := p.run(run)
			category := p.job(r.job).category
			for _, key := range []int{0, category} {
				if byHour[key] == nil {
					byHour[key] = &execution.Summary{}
				}
				byHour[key].Add(r.sample())
			}
		}
		first = next
		t.totals("hour", "category_hour", hour, byHour)
		for key, sum := range byHour {
			if byDay[key] == nil {
				byDay[key] = &execution.Summary{}
			}
			byDay[key].Merge(sum)
		}
	}
	t.totals("day", "category_day", begin, byDay)
}

// firstAt is the first run of an instant or later.
func (p Plan) firstAt(at int64) int {
	return 1 + sort.Search(p.Executions, func(i int) bool { return p.instantOf(i+1) >= at })
}

// totals writes the sums of one time: of all, under 0, and of categories.
func (t *rows) totals(all, ofCategory string, at int64, sums map[int]*execution.Summary) {
	for _, category := range slices.Sorted(maps.Keys(sums)) {
		t.begin()
		if category == 0 {
			t.text(all)
		} else {
			t.text(ofCategory)
		}
		t.instant(at)
		t.number(int64(category))
		t.summary(sums[category])
		t.end()
	}
}

func (t *rows) summary(sum *execution.Summary) {
	for _, value := range mysql.SummaryValues(sum) {
		switch v := value.(type) {
		case int64:
			t.number(v)
		case []byte:
			t.bytes(string(v))
		}
	}
}
