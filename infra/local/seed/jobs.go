package seed

import (
	"strconv"
	"strings"
	"time"
)

// The words of names, URLs and descriptions.
var (
	rhythms  = []string{"Nightly", "Hourly", "Weekly", "Monthly", "Early", "Late"}
	subjects = []string{"invoice", "customer", "order", "stock", "payroll", "search index", "session", "backup", "report", "newsletter", "ledger", "cache"}
	deeds    = []string{"export", "import", "sync", "cleanup", "rollover", "check", "digest", "refresh"}
	methods  = []string{"GET", "GET", "GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD"}
)

// aJob is the nth job, counted from 1.
type aJob struct {
	n                 int
	name, description string
	category          int
	method, status    string
	deleted           bool
	created, updated  time.Time
	pattern           string
	next              time.Time // zero where nothing is scheduled
	host              string
	subject, deed     int
}

func (p Plan) job(n int) aJob {
	j := aJob{n: n, subject: among(n, 1, len(subjects)), deed: among(n, 2, len(deeds)), status: "active"}
	subject, deed := subjects[j.subject], deeds[j.deed]
	j.name = rhythms[among(n, 3, len(rhythms))] + " " + subject + " " + deed + " " + padded(n, 6)
	j.description = "Asks the service of the " + subject + " team for its " + deed + ", and records what it answers." +
		strings.Repeat(" Part "+strconv.Itoa(n%97)+" of a longer explanation.", among(n, 4, 5))
	j.method = methods[among(n, 5, len(methods))]
	j.host = "service-" + strconv.Itoa(among(n, 6, 500)) + ".example.com"
	// Few categories hold most jobs.
	j.category = 1 + min(among(n, 7, categories), among(n, 8, categories))
	switch draw := among(n, 9, 1000); {
	case draw < failedJobs:
		j.status = "failed"
	case draw < failedJobs+inactiveJobs:
		j.status = "inactive"
	case draw < failedJobs+inactiveJobs+deletedJobs:
		j.deleted = true
	}
	j.created = p.Until.Add(-span).Add(-time.Duration(among(n, 10, 365*24*3600)) * time.Second)
	j.updated = j.created.Add(time.Duration(among(n, 11, int(p.Until.Sub(j.created)/time.Second))) * time.Second)
	// Monthly, and first some days ahead.
	at := p.Until.Add(3*24*time.Hour + time.Duration(among(n, 12, 25*24*60))*time.Minute)
	j.pattern = strconv.Itoa(at.Minute()) + " " + strconv.Itoa(at.Hour()) + " " + strconv.Itoa(at.Day()) + " * *"
	if j.status == "active" && !j.deleted && j.category <= categories-inactiveCategories {
		j.next = at
	}
	return j
}

func padded(n, width int) string {
	text := strconv.Itoa(n)
	return strings.Repeat("0", max(0, width-len(text))) + text
}

const jobColumns = `id, name, name_key, description, search_text, cron_pattern, timezone, category_id, method, status, status_reason, next_run_at,
	created_at, updated_at, deleted_at`

func (p Plan) appendJob(t *rows, n int) {
	j := p.job(n)
	t.begin()
	t.number(int64(n))
	t.text(j.name)
	if j.deleted {
		t.null()
	} else {
		t.text(strings.ToLower(j.name))
	}
	t.text(j.description)
	t.bytes(strings.ToLower(j.name) + "\xff" + strings.ToLower(j.description))
	t.text(j.pattern)
	t.text("UTC")
	t.number(int64(j.category))
	t.text(j.method)
	t.text(j.status)
	if j.status == "failed" {
		t.text("20 failures in a row")
	} else {
		t.null()
	}
	t.instantOrNull(millis(j.next))
	t.instant(j.created.UnixMilli())
	t.instant(j.updated.UnixMilli())
	if j.deleted {
		t.instant(j.updated.UnixMilli())
	} else {
		t.null()
	}
	t.end()
}

// millis is 0 for a time that is not set.
func millis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

const requestColumns = `job_id, revision, method, url, headers, body_secret, timeout_ms, max_redirects, retry_attempts, retry_delay_ms,
	retry_backoff, overlap_policy, created_at`

func (p Plan) appendRequest(t *rows, n int) {
	j := p.job(n)
	t.begin()
	t.number(int64(n))
	t.number(1)
	t.text(j.method)
	t.text("https://" + j.host + "/v1/" + strings.ReplaceAll(subjects[j.subject], " ", "-") + "/" + deeds[j.deed])
	t.text(`{"Accept":"application/json"}`)
	t.number(0)
	t.number(30000)
	t.number(0)
	t.number(3)
	t.number(1000)
	t.text("fixed")
	t.text("allow")
	t.instant(j.created.UnixMilli())
	t.end()
}

const categoryColumns = "id, name, name_key, description, color, status, created_at, updated_at"

// appendCategory writes the nth of the categories that come on top.
func (p Plan) appendCategory(t *rows, n int) {
	name, status := "Team "+padded(n, 2), "active"
	if n > moreCategories-inactiveCategories {
		status = "inactive"
	}
	t.begin()
	t.number(int64(seededCategories + n))
	t.text(name)
	t.text(strings.ToLower(name))
	t.text("What the team keeps running")
	t.text("#" + padded(100000+n*12345, 6))
	t.text(status)
	t.instant(p.Until.Add(-2 * span).UnixMilli())
	t.instant(p.Until.Add(-2 * span).UnixMilli())
	t.end()
}
