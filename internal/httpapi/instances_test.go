package httpapi

import (
	"fmt"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/job"
	"github.com/cronjobs/cronjobs/internal/mysql"
	"github.com/cronjobs/cronjobs/internal/mysql/mysqltest"
)

// Two instances of the API share nothing but the database. What one of them
// has answered with is not what it answers once the other has changed it.
func TestInstancesAnswerWithWhatOthersHaveChanged(t *testing.T) {
	t.Parallel()
	db := mysqltest.New(t)
	clock := func() time.Time { return noon }
	var desks [2]*desk
	for i := range desks {
		jobs := mysql.NewJobs(db)
		desks[i] = &desk{t: t, runs: &fakeRuns{}}
		desks[i].h = newTrial(t, func(deps *Deps) {
			deps.Categories = job.NewCategories(mysql.NewCategories(db), jobs, desks[i].runs, clock)
			deps.Jobs = job.NewService(jobs, desks[i].runs, 4*time.Minute, clock)
			deps.Runner, deps.History = desks[i].runs, desks[i].runs
			deps.Summaries, deps.Replies = mysql.NewRollups(db), mysql.NewReplies(db)
		}).handler()
	}
	category := desks[0].category("Shared")
	tag := ""
	for i := range 12 {
		writer, other := desks[i%2], desks[(i+1)%2]
		writer.want(201, "POST", "/jobs", fmt.Sprintf(`{"name":"Job %d","description":"A job of the tests","cronPattern":"@daily","categoryId":%s,"url":"https://example.com"}`, i, category))
		for _, d := range []*desk{other, writer} {
			list := d.want(200, "GET", "/categories", "")
			if got := list.items()[0]["jobCount"]; got != float64(i+1) {
				t.Fatalf("after %d jobs an instance lists %v", i+1, got)
			}
			if got := d.want(200, "GET", "/dashboard", "").data()["jobs"].(map[string]any)["total"]; got != float64(i+1) {
				t.Fatalf("after %d jobs an instance's dashboard counts %v", i+1, got)
			}
			if d == other {
				if list.Header.Get("ETag") == tag {
					t.Errorf("after %d jobs the list has the ETag that it had before", i+1)
				}
				tag = list.Header.Get("ETag")
			}
		}
	}
}
