package schedule_test

import (
	"flag"
	"testing"
	"time"

	"github.com/cronjobs/cronjobs/internal/schedule"
)

// slowest is how long any input may take. Only fuzzing holds it: tests that run
// beside others on a busy machine cannot.
const slowest = 10 * time.Millisecond

var seedPatterns = []string{
	"* * * * *", "*/5 * * * *", "0 9 * * MON-FRI", "30 0 9 1,15 JAN-JUN ?", "0 0 L,LW,15W * *", "0 0 * * 5L,5#3",
	"0 0 * 01 5#5", "0 0 1 01 *", "5-1 * * * *", "0 0 30 2 *", "0 0 29 2 1#5", "@hourly", "5 @hourly", "0-7 0-7 1-7 1-7 0-7",
	"*,banana * * * *", "1,,2 * * * *", "* * * * 5-7/2", "59-59/59 23/23 31W 12 7#5", "0 0 1 1 * 2030 1",
	"\x00 * * * *", "* * * * \xff", "5 4 ٣ * *", "-1 -1 -1 -1 -1", "/ / / / /", "# # # # #", "L L L L L", "W W W W W", ", , , , ,",
}

func FuzzParse(f *testing.F) {
	for _, pattern := range seedPatterns {
		f.Add(pattern, "America/New_York")
	}
	for _, zone := range []string{"", "Local", "localtime", "right/UTC", "../UTC", "utc", "Pacific/Apia", "\x00", "Etc/GMT+12"} {
		f.Add("0 0 * * *", zone)
	}
	f.Fuzz(func(t *testing.T, pattern, zone string) {
		var s *schedule.Schedule
		var err error
		within(t, func() { s, err = schedule.Parse(pattern, zone) })
		if err != nil {
			problems := schedule.SyntaxErrors(err)
			if len(problems) == 0 || len(problems) > 2 || s != nil {
				t.Fatalf("Parse = %v and %d problems: %v", s, len(problems), err)
			}
			for _, problem := range problems {
				if problem.Message == "" || len(problem.Message) > 400 {
					t.Errorf("a message of %d bytes: %q", len(problem.Message), problem.Message)
				}
			}
			return
		}
		if s.Zone() != zone {
			t.Errorf("the zone %q becomes %q", zone, s.Zone())
		}
		checkCanonical(t, pattern, s, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	})
}

func FuzzParseNext(f *testing.F) {
	for i, pattern := range seedPatterns {
		f.Add(pattern, uint16(i*20), int64(1772323200+i*86400*50))
	}
	f.Add("0 * * * *", uint16(0), int64(-1<<63))
	f.Add("0 * * * *", uint16(0), int64(1<<63-1))
	f.Add("* * 30 2 *", uint16(100), int64(0))
	f.Add("59 59 23 31 12 *", uint16(300), int64(4102444799))
	names := schedule.ZoneNames()
	f.Fuzz(func(t *testing.T, pattern string, zone uint16, unix int64) {
		s, err := schedule.Parse(pattern, names[int(zone)%len(names)])
		if err != nil {
			return
		}
		after := time.Unix(unix, 0).UTC()
		var next time.Time
		var ok bool
		within(t, func() { next, ok = s.Next(after) })
		if ok && !next.After(after) || !ok && !next.IsZero() {
			t.Fatalf("%s in %s: Next(%v) = %v, %v", s, s.Zone(), after, next, ok)
		}
		within(t, func() { s.Warnings(after) })
		checkInstants(t, s, after)
		checkSentences(t, s, after)
	})
}

// within fails the test when, while fuzzing, work takes too long three times in
// a row: once may be the machine's doing.
func within(t *testing.T, work func()) {
	t.Helper()
	fuzzing := flag.Lookup("test.fuzz").Value.String() != ""
	var took time.Duration
	for range 3 {
		begin := time.Now()
		work()
		if took = time.Since(begin); took <= slowest || !fuzzing {
			return
		}
	}
	t.Errorf("took %v, want at most %v", took, slowest)
}
