package seed

import (
	"strconv"
	"time"

	"github.com/cronjobs/cronjobs/internal/audit"
)

// entriesPerJob is how many entries the audit log has for each job: 200,000 for
// 100,000 jobs.
const entriesPerJob = 2

func (p Plan) entries() int { return entriesPerJob * p.Jobs }

// act is an action with its share of the log.
type act struct {
	action audit.Action
	share  int
}

// acts are all actions. What is not named here is rare.
var acts, allShares = func() (all []act, sum int) {
	often := map[audit.Action]int{
		audit.Login: 220, audit.Logout: 60, audit.LoginFailed: 25, audit.JobExecute: 230, audit.JobUpdate: 160,
		audit.JobCreate: 80, audit.JobImport: 60, audit.JobPause: 35, audit.JobResume: 30, audit.JobReplay: 25, audit.JobMove: 20,
	}
	for _, action := range audit.Actions {
		share := max(1, often[action])
		all, sum = append(all, act{action, share}), sum+share
	}
	return all, sum
}()

// Who does it: the first user, who is the first admin, every second time.
const (
	adminID = 1
	people  = 40
)

const auditColumns = `at, user_id, token_id, session_id, request_id, address, action, entity, entity_id, entity_name, before_json, after_json`

// appendEntry writes the nth entry, in the order of their instants. Ids are the
// database's to give, for a database that was filled earlier may have entries of
// its own.
func (p Plan) appendEntry(t *rows, n int) {
	action := acts[0].action
	for draw, i := among(n, 40, allShares), 0; draw >= 0; i++ {
		action = acts[i].action
		draw -= acts[i].share
	}
	user, session := adminID, int64(hash(n/8, 41)>>12) // some things are done in one session
	if among(n, 42, 2) == 0 {
		user = 2 + among(n, 43, people-1)
	}
	id, name := int64(0), ""
	switch action.Of() {
	case audit.Job:
		// Some jobs are worked on day after day.
		job := 1 + among(n, 44, p.Jobs)
		if among(n, 45, 10) == 0 {
			job = 1 + among(n, 44, max(1, p.Jobs/busyShare))
		}
		id, name = int64(job), p.job(job).name
	case audit.Category:
		id = int64(1 + among(n, 44, categories))
		name = "Team " + padded(int(id), 2)
	case audit.User:
		id = int64(1 + among(n, 44, people))
		name = "person-" + strconv.FormatInt(id, 10) + "@example.com"
	case audit.Session:
		id = session
	case audit.Token:
		id, name = int64(1+among(n, 44, people)), "deployment"
	case audit.Secret:
		name = "SECRET_" + strconv.Itoa(among(n, 44, people))
	}
	byToken := action == audit.JobExecute && among(n, 46, 3) == 0

	t.begin()
	t.instant(p.Until.Add(-span).UnixMilli() + int64(n-1)*(span-time.Second).Milliseconds()/int64(p.entries()))
	switch {
	case action == audit.LoginFailed || action == audit.Register:
		t.null()
		t.null()
		t.null()
	case byToken:
		t.number(int64(user))
		t.number(int64(user))
		t.null()
	default:
		t.number(int64(user))
		t.null()
		t.number(session)
	}
	t.text("seed-" + strconv.FormatUint(hash(n, 47), 16))
	t.text("198.51.100." + strconv.Itoa(1+among(n/8, 48, 250)))
	t.text(string(action))
	t.text(string(action.Of()))
	if id == 0 {
		t.null()
	} else {
		t.number(id)
	}
	t.text(name)
	switch action {
	case audit.JobUpdate, audit.JobImport:
		t.text(`{"timeout":30000,"retryAttempts":3}`)
		t.text(`{"timeout":` + strconv.Itoa(1000*(1+among(n, 49, 300))) + `,"retryAttempts":` + strconv.Itoa(among(n, 50, 6)) + `}`)
	case audit.JobPause:
		t.text(`{"status":"active"}`)
		t.text(`{"status":"inactive"}`)
	case audit.JobResume:
		t.text(`{"status":"inactive"}`)
		t.text(`{"status":"active"}`)
	case audit.Login:
		t.null()
		t.text(`{"remembered":false,"userAgent":"a browser"}`)
	default:
		t.null()
		t.null()
	}
	t.end()
}
