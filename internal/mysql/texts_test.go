package mysql

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/job"
)

// TestTextsAreFoundWhereTheyStand compares searches of all texts at once with
// looking at each job by itself.
func TestTextsAreFoundWhereTheyStand(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	word := func(most int) string {
		var b strings.Builder
		for range random.IntN(most + 1) {
			b.WriteString([]string{"a", "b", "ab", "Ä", "😀"}[random.IntN(5)])
		}
		return b.String()
	}
	type stored struct{ name, description string }
	all := &textCopy{}
	var jobs []stored
	for id := range int64(300) {
		one := stored{"n" + word(4), word(6)}
		jobs = append(jobs, one)
		begin := len(all.text)
		all.text = append(all.text, foldedText(one.name, one.description)...)
		all.jobs = append(all.jobs, textOf{
			id: id, nameEnd: begin + len(strings.ToLower(one.name)), end: len(all.text),
			categoryID: id % 3, status: []job.Status{job.Active, job.Inactive}[id%2], method: "GET", deleted: id%7 == 0,
		})
		all.text = append(all.text, afterText)
	}
	for range 500 {
		part := "n" + word(3)
		if random.IntN(2) > 0 {
			part = word(3) + "a"
		}
		folded := strings.ToLower(part)
		filter := job.Filter{Search: part, Status: []job.Status{"", job.Active}[random.IntN(2)], CategoryID: random.Int64N(3)}
		var found, named []int64
		for i, of := range all.jobs {
			inName := strings.Contains(strings.ToLower(jobs[i].name), folded)
			if inName && (filter.CategoryID == 0 || of.categoryID == filter.CategoryID) && len(named) < 20 {
				named = append(named, of.id)
			}
			if (inName || strings.Contains(strings.ToLower(jobs[i].description), folded)) && !of.deleted &&
				(filter.Status == "" || of.status == filter.Status) && (filter.CategoryID == 0 || of.categoryID == filter.CategoryID) {
				found = append(found, of.id)
			}
		}
		if diff := cmp.Diff(found, all.find(filter)); diff != "" {
			t.Fatal(fmt.Sprintf("%+v", filter), diff)
		}
		if diff := cmp.Diff(named, all.named(part, filter.CategoryID, 20)); diff != "" {
			t.Fatal("names with ", part, diff)
		}
	}
}
