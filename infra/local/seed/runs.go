package seed

// run is the nth execution, counted from 1, in the order of their instants.
// Instants are Unix milliseconds, 0 where there is none.
type run struct {
	n, job          int
	trigger, status string
	at              int64
	started, ended  int64
	attempts        int
	response        int
	kind            string
}

// One run in busyEvery is one of the few busy jobs, of which there is one in
// busyShare.
const (
	busyEvery = 5
	busyShare = 1000
)

// outages are the days of the year on which runs were missed, and only then.
var outages = []int{40, 41, 250}

var failures = []struct {
	kind     string
	response int
}{{"http_status", 503}, {"http_status", 500}, {"http_status", 404}, {"timeout", 0}, {"connect", 0}, {"dns", 0}}

func (p Plan) run(n int) run {
	r := run{n: n, trigger: "schedule", status: "success", attempts: 1, response: 200}
	r.at, r.job = p.instantOf(n), p.jobOf(n)
	switch draw := among(n, 20, 1000); {
	case draw < replayedRuns:
		r.trigger = "replay"
	case draw < replayedRuns+manualRuns:
		r.trigger = "manual"
	}
	switch draw := among(n, 21, 1000); {
	case draw < failedRuns:
		r.status, r.attempts = "failed", 1+among(n, 22, 3)
		cause := failures[among(n, 23, len(failures))]
		r.kind, r.response = cause.kind, cause.response
	case draw < failedRuns+skippedRuns:
		r.status, r.attempts, r.response = "skipped", 0, 0
	case draw < failedRuns+skippedRuns+cancelledRuns:
		r.status, r.attempts, r.response = "cancelled", 0, 0
	case draw < failedRuns+skippedRuns+cancelledRuns+abandonedRuns:
		r.status, r.kind, r.response = "abandoned", "internal", 0
	}
	if r.trigger == "schedule" && among(n, 24, 3) == 0 {
		day := int((r.at - p.Until.Add(-span).UnixMilli()) / dayMillis)
		for _, outage := range outages {
			if day == outage {
				r.status, r.kind, r.attempts, r.response = "missed", "", 0, 0
			}
		}
	}
	r.ended = r.at + int64(5+among(n, 25, 60))
	if r.attempts > 0 {
		// Most are quick, some take seconds.
		r.started = r.ended
		took := 20 + among(n, 26, 300)
		if among(n, 27, 20) == 0 {
			took = 1000 + among(n, 28, 9000)
		}
		r.ended = r.started + int64(r.attempts*(took+1000)-1000)
	}
	return r
}

// instantOf is when the nth run was due, no earlier than the one before.
func (p Plan) instantOf(n int) int64 {
	step := float64(span.Milliseconds()) / float64(p.Executions)
	at := p.Until.Add(-span).UnixMilli() + int64(step*float64(n-1))
	if step >= 1000 {
		at -= at % 1000
	}
	return at
}

// jobOf is the job of the nth run.
func (p Plan) jobOf(n int) int {
	if n%busyEvery == 0 {
		return 1 + (n/busyEvery)%max(1, p.Jobs/busyShare)
	}
	// Every job in turn, but not in the order of their ids.
	return 1 + int(uint64(n)*7919%uint64(p.Jobs))
}

const runColumns = `id, job_id, trigger_type, scheduled_for, occurrence_at, status, reason, revision, attempt, fence, not_before,
	started_at, ended_at, response_status, error_kind, error_message, missed_until, missed_count, requested_by, created_at, updated_at`

func (p Plan) appendRun(t *rows, n int) {
	r := p.run(n)
	t.begin()
	t.number(int64(n))
	t.number(int64(r.job))
	t.text(r.trigger)
	t.instant(r.at)
	if r.trigger == "schedule" {
		t.instant(r.at)
	} else {
		t.null()
	}
	t.text(r.status)
	t.textOrNull(reasons[r.status])
	t.number(1)
	t.number(int64(max(1, r.attempts)))
	t.number(int64(r.attempts))
	t.instant(r.at)
	t.instantOrNull(r.started)
	t.instant(r.ended)
	t.numberOrNull(r.response)
	t.textOrNull(r.kind)
	t.textOrNull(messages[r.kind])
	if r.status == "missed" {
		t.instant(r.at)
		t.number(1)
	} else {
		t.null()
		t.null()
	}
	t.null()
	t.instant(r.at - 180_000)
	t.instant(r.ended)
	t.end()
}

var reasons = map[string]string{
	"skipped": "a run was in progress", "cancelled": "job paused", "missed": "more than 120 s late", "abandoned": "the worker was lost",
}

var messages = map[string]string{
	"http_status": "the status was not 2xx", "timeout": "no answer within 30 s", "connect": "connection refused",
	"dns": "no such host", "internal": "the outcome is not known",
}

const attemptColumns = `execution_id, attempt, fence, started_at, ended_at, response_status, response_headers, response_body, error_kind,
	error_message, ttfb_us, total_us`

func (p Plan) appendAttempts(t *rows, n int) {
	r := p.run(n)
	if r.attempts == 0 {
		return
	}
	took := (r.ended - r.started - int64(r.attempts-1)*1000) / int64(r.attempts)
	for i := range r.attempts {
		began := r.started + int64(i)*(took+1000)
		t.begin()
		t.number(int64(n))
		t.number(int64(i + 1))
		t.number(int64(i + 1))
		t.instant(began)
		t.instant(began + took)
		t.numberOrNull(r.response)
		if r.response == 0 {
			t.null()
			t.null()
		} else {
			t.text(`{"content-type":"application/json"}`)
			t.text(`{"ok":true}`)
		}
		t.textOrNull(r.kind)
		t.textOrNull(messages[r.kind])
		t.number(took * 900)
		t.number(took * 1000)
		t.end()
	}
}
