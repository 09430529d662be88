package main

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"time"
)

// The bars, in milliseconds.
const (
	listBar   = 50
	searchBar = 150
)

// request is one kind of request; path makes the next one's address.
type request struct {
	name string
	bar  float64
	path func(*rand.Rand) string
}

// requests are all kinds of reads that depend on size.
func requests(s size) []request {
	var all []request
	add := func(name string, bar float64, path func(*rand.Rand) string) {
		all = append(all, request{name, bar, path})
	}
	fixed := func(path string) func(*rand.Rand) string { return func(*rand.Rand) string { return path } }
	job := func(r *rand.Rand) int { return 1 + r.IntN(s.jobs) }
	span := s.until.Sub(s.from)
	moment := func(r *rand.Rand) time.Time { return s.from.Add(time.Duration(r.Int64N(int64(span)))) }
	at := func(t time.Time) string { return url.QueryEscape(t.UTC().Format(time.RFC3339)) }

	add("jobs", listBar, fixed("/jobs"))
	add("jobs, any page of 100", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/jobs?limit=100&page=%d", 1+r.IntN(max(1, s.jobs/100)))
	})
	for _, key := range []string{"name", "status", "createdAt", "updatedAt", "nextRunAt", "lastRunAt"} {
		for _, order := range []string{"asc", "desc"} {
			add("jobs by "+key+" "+order, listBar, fixed("/jobs?sortBy="+key+"&sortOrder="+order))
		}
		add("jobs by "+key+", any page", listBar, func(r *rand.Rand) string {
			return fmt.Sprintf("/jobs?sortBy=%s&limit=100&page=%d", key, 1+r.IntN(max(1, s.jobs/100)))
		})
	}
	for _, filter := range []string{"status=failed", "status=active", "categoryId=1", "categoryId=18", "method=PUT", "status=inactive&categoryId=2&method=POST"} {
		add("jobs?"+filter, listBar, fixed("/jobs?"+filter))
		add("jobs?"+filter+" by updatedAt", listBar, fixed("/jobs?sortBy=updatedAt&sortOrder=desc&"+filter))
	}
	add("jobs, search: one", searchBar, func(r *rand.Rand) string { return fmt.Sprintf("/jobs?search=%06d", job(r)) })
	add("jobs, search: many", searchBar, fixed("/jobs?search=invoice"))
	add("jobs, search: none", searchBar, fixed("/jobs?search=qzx"))
	add("jobs, search in descriptions", searchBar, fixed("/jobs?search=part+17+of"))
	add("job", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/jobs/%d", job(r)) })
	add("categories", listBar, fixed("/categories"))
	add("category", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/categories/%d", 1+r.IntN(20)) })
	add("users", listBar, fixed("/users"))
	add("audit", listBar, fixed("/audit"))
	add("audit, page of 100 down to 100", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/audit?limit=100&page=%d", 1+r.IntN(100)) })
	for _, filter := range []string{"userId=1", "userId=1&action=job.execute", "userId=1&action=user.create", "userId=1&entity=job", "action=job.execute&entity=job", "action=user.create&entity=job", "entity=job&entityId=1&userId=1"} {
		add("audit?"+filter, listBar, fixed("/audit?"+filter))
	}

	add("history", listBar, fixed("/history"))
	add("history, page of 100 down to 1,000", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/history?limit=100&page=%d", 1+r.IntN(1000))
	})
	add("history, any page of 100", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/history?limit=100&page=%d", 1+r.IntN(max(1, s.executions/100)))
	})
	add("history, any page of 100, oldest first", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/history?limit=100&sortOrder=asc&page=%d", 1+r.IntN(max(1, s.executions/100)))
	})
	add("history?status=success, any page", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/history?status=success&page=%d", 1+r.IntN(max(1, s.executions*9/100)))
	})
	for _, status := range []string{"success", "failed", "missed", "abandoned", "pending", "running"} {
		add("history?status="+status, listBar, fixed("/history?status="+status))
		add("history?status="+status+", some month", listBar, func(r *rand.Rand) string {
			from := moment(r)
			return "/history?status=" + status + "&from=" + at(from) + "&to=" + at(from.Add(30*24*time.Hour))
		})
	}
	for _, trigger := range []string{"schedule", "manual", "replay"} {
		add("history?trigger="+trigger, listBar, fixed("/history?trigger="+trigger))
	}
	add("history?trigger=manual&status=failed", listBar, fixed("/history?trigger=manual&status=failed"))
	add("history?trigger=replay&status=missed", listBar, fixed("/history?trigger=replay&status=missed"))
	add("history, some day", listBar, func(r *rand.Rand) string {
		from := moment(r)
		return "/history?from=" + at(from) + "&to=" + at(from.Add(24*time.Hour))
	})
	add("history, oldest", listBar, fixed("/history?sortOrder=asc"))
	add("history?categoryId", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/history?categoryId=%d", 1+r.IntN(20)) })
	add("history?categoryId&status=failed", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/history?status=failed&categoryId=%d", 1+r.IntN(20))
	})
	add("history?categoryId&trigger=replay", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/history?trigger=replay&categoryId=%d", 1+r.IntN(20))
	})
	add("history, search: one job", searchBar, func(r *rand.Rand) string { return fmt.Sprintf("/history?search=%06d", job(r)) })
	add("history, search: many jobs", searchBar, fixed("/history?search=invoice"))
	add("history, search: none", searchBar, fixed("/history?search=qzx"))
	add("history, search in a day's errors", searchBar, func(r *rand.Rand) string {
		from := moment(r)
		return "/history?search=refused&from=" + at(from) + "&to=" + at(from.Add(24*time.Hour))
	})
	add("history of a job", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/history?jobId=%d", job(r)) })
	add("history of a busy job", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/history?jobId=%d", 1+r.IntN(max(1, s.jobs/1000))) })
	add("history of a busy job, failed", listBar, func(r *rand.Rand) string {
		return fmt.Sprintf("/jobs/%d/history?status=failed", 1+r.IntN(max(1, s.jobs/1000)))
	})
	add("execution", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/history/%d", 1+r.IntN(s.executions)) })

	add("dashboard", listBar, fixed("/dashboard"))
	add("dashboard/stats", listBar, fixed("/dashboard/stats"))
	add("dashboard/stats of a year", listBar, fixed("/dashboard/stats?from="+at(s.until.Add(-364*24*time.Hour))+"&to="+at(s.until)))
	add("dashboard/timeline", listBar, fixed("/dashboard/timeline"))
	add("dashboard/timeline of a year", listBar, fixed("/dashboard/timeline?interval=day&from="+at(s.until.Add(-364*24*time.Hour))+"&to="+at(s.until)))
	add("dashboard/upcoming", listBar, fixed("/dashboard/upcoming"))
	add("dashboard/failures", listBar, fixed("/dashboard/failures"))
	add("stats of a job", listBar, func(r *rand.Rand) string { return fmt.Sprintf("/jobs/%d/stats", job(r)) })
	return all
}
