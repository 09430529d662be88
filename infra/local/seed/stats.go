package seed

// sums are what a job's runs add up to.
type sums struct {
	total, success, failed int
	streak                 int
	firstFailure           int64
	lastFailure            int64
	last                   run
}

// count adds up every run by its job.
func (p Plan) count() []sums {
	all := make([]sums, p.Jobs+1)
	for n := 1; n <= p.Executions; n++ {
		r := p.run(n)
		if r.attempts == 0 {
			continue
		}
		s := &all[r.job]
		s.total++
		s.last = r
		if r.status == "success" {
			s.success++
			s.streak, s.firstFailure = 0, 0
			continue
		}
		s.failed++
		s.streak++
		s.lastFailure = r.ended
		if s.firstFailure == 0 {
			s.firstFailure = r.ended
		}
	}
	return all
}

const statsColumns = `job_id, total_executions, success_count, failed_count, consecutive_failures, first_failure_at, last_failure_at,
	last_execution_id, last_run_at, last_status, deleted`

// statsAppender counts when the first row is asked for.
func (p Plan) statsAppender() func(t *rows, n int) {
	var all []sums
	return func(t *rows, n int) {
		if all == nil {
			all = p.count()
		}
		s := all[n]
		t.begin()
		t.number(int64(n))
		t.number(int64(s.total))
		t.number(int64(s.success))
		t.number(int64(s.failed))
		t.number(int64(s.streak))
		t.instantOrNull(s.firstFailure)
		t.instantOrNull(s.lastFailure)
		t.numberOrNull(s.last.n)
		t.instantOrNull(s.last.started)
		t.textOrNull(s.last.status)
		if p.job(n).deleted {
			t.number(1)
		} else {
			t.number(0)
		}
		t.end()
	}
}
