package schedule_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestClockChanges is what the package promises about turned clocks, case by
// case. The instants were worked out by hand from the rules of the zones.
func TestClockChanges(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, pattern, zone, after string
		want                       []string
	}{
		// New York: 02:00 EST becomes 03:00 EDT at 07:00Z on 8 March 2026.
		{
			"a fixed time in a gap fires at its end", "30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z",
			[]string{"2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"},
		},
		{
			"a fixed time just before a gap is not moved", "59 1 * * *", "America/New_York", "2026-03-08T00:00:00Z",
			[]string{"2026-03-08T06:59:00Z", "2026-03-09T05:59:00Z"},
		},
		{
			"fixed times in a gap and at its end fire once", "0,15,45 2-3 * * *", "America/New_York", "2026-03-08T00:00:00Z",
			[]string{"2026-03-08T07:00:00Z", "2026-03-08T07:15:00Z", "2026-03-08T07:45:00Z", "2026-03-09T06:00:00Z"},
		},
		{
			"from inside the clamp, the gap is behind", "30 2 * * *", "America/New_York", "2026-03-08T07:00:00Z",
			[]string{"2026-03-09T06:30:00Z"},
		},
		{
			"hourly passes over a gap", "0 * * * *", "America/New_York", "2026-03-08T05:30:00Z",
			[]string{"2026-03-08T06:00:00Z", "2026-03-08T07:00:00Z", "2026-03-08T08:00:00Z"},
		},
		{
			"an interval in a gap does not fire", "*/30 2 * * *", "America/New_York", "2026-03-08T00:00:00Z",
			[]string{"2026-03-09T06:00:00Z", "2026-03-09T06:30:00Z"},
		},
		{
			"every second hour skips the one in the gap", "0 */2 * * *", "America/New_York", "2026-03-08T04:00:00Z",
			[]string{"2026-03-08T05:00:00Z", "2026-03-08T08:00:00Z", "2026-03-08T10:00:00Z"},
		},
		{
			"a gap on the only day of a month still fires", "30 2 8 3 *", "America/New_York", "2026-01-01T00:00:00Z",
			[]string{"2026-03-08T07:00:00Z", "2027-03-08T07:30:00Z"},
		},
		// New York: 02:00 EDT becomes 01:00 EST at 06:00Z on 1 November 2026.
		{
			"a fixed time in a repeated hour fires the first time", "30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			[]string{"2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"},
		},
		{
			"also when asked from the second pass", "30,45 1 * * *", "America/New_York", "2026-11-01T06:15:00Z",
			[]string{"2026-11-02T06:30:00Z"},
		},
		{
			"a fixed time at the end of a repeated hour waits for it", "0 2 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			[]string{"2026-11-01T07:00:00Z", "2026-11-02T07:00:00Z"},
		},
		{
			"an interval fires in both passes", "*/30 1 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			[]string{
				"2026-11-01T05:00:00Z", "2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z",
				"2026-11-02T06:00:00Z",
			},
		},
		{
			"a listed hour is a fixed time, a stepped one is not", "0 1,2 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			[]string{"2026-11-01T05:00:00Z", "2026-11-01T07:00:00Z"},
		},
		{
			"a step makes an interval", "0 1-2/1 * * *", "America/New_York", "2026-11-01T00:00:00Z",
			[]string{"2026-11-01T05:00:00Z", "2026-11-01T06:00:00Z", "2026-11-01T07:00:00Z"},
		},
		// Berlin: 02:00 becomes 03:00 on 29 March, 03:00 becomes 02:00 on 25 October, both at 01:00Z.
		{
			"Berlin in spring", "15 2 * * SUN", "Europe/Berlin", "2026-03-23T00:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-04-05T00:15:00Z"},
		},
		{
			"Berlin in autumn", "15 2 * * SUN", "Europe/Berlin", "2026-10-20T00:00:00Z",
			[]string{"2026-10-25T00:15:00Z", "2026-11-01T01:15:00Z"},
		},
		// Lord Howe turns by half an hour: 02:00+11 becomes 01:30+10:30 at 15:00Z on 4 April 2026,
		// 02:00+10:30 becomes 02:30+11 at 15:30Z on 3 October.
		{
			"half an hour forward", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z",
			[]string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"},
		},
		{
			"half an hour back, fixed", "15,45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z",
			[]string{"2026-04-04T14:15:00Z", "2026-04-04T14:45:00Z", "2026-04-05T14:45:00Z"},
		},
		{
			"half an hour back, interval", "*/15 1 * * *", "Australia/Lord_Howe", "2026-04-04T14:20:00Z",
			[]string{
				"2026-04-04T14:30:00Z", "2026-04-04T14:45:00Z", "2026-04-04T15:00:00Z", "2026-04-04T15:15:00Z",
				"2026-04-05T14:30:00Z",
			},
		},
		// Apia left out 30 December 2011: the 31st began at 10:00Z on the 30th.
		{
			"the date line moves over a day", "0 9 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z",
			[]string{"2011-12-29T19:00:00Z", "2011-12-30T19:00:00Z"},
		},
		{
			"the day left out is not made up for", "0 9 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z",
			[]string{"2012-12-29T19:00:00Z"},
		},
		{
			"the first reading after the date line moves counts", "0 0 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z",
			[]string{"2011-12-29T10:00:00Z", "2011-12-30T10:00:00Z", "2011-12-31T10:00:00Z"},
		},
		{
			"hourly takes no notice of the date line", "0 * * * *", "Pacific/Apia", "2011-12-30T08:30:00Z",
			[]string{"2011-12-30T09:00:00Z", "2011-12-30T10:00:00Z", "2011-12-30T11:00:00Z"},
		},
		// Sao Paulo: midnight became 01:00 at 03:00Z on 4 November 2018, and 23:00 of the day
		// before at 02:00Z on 18 February 2018.
		{
			"a gap at midnight", "@daily", "America/Sao_Paulo", "2018-11-03T12:00:00Z",
			[]string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		},
		{
			"a gap at midnight on the first day of a month in a list", "0 0 4,5 11 *", "America/Sao_Paulo", "2018-11-01T00:00:00Z",
			[]string{"2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z"},
		},
		{
			"a repeated hour before midnight", "30 23 * * *", "America/Sao_Paulo", "2018-02-17T12:00:00Z",
			[]string{"2018-02-18T01:30:00Z", "2018-02-19T02:30:00Z"},
		},
		{
			"midnight after a repeated hour", "@daily", "America/Sao_Paulo", "2018-02-17T12:00:00Z",
			[]string{"2018-02-18T03:00:00Z", "2018-02-19T03:00:00Z"},
		},
		// Nuuk: 23:00 on Saturday became midnight at 01:00Z on 31 March 2024.
		{
			"a gap that ends at midnight fires on the next day", "30 23 * * SAT", "America/Nuuk", "2024-03-29T00:00:00Z",
			[]string{"2024-03-31T01:00:00Z", "2024-04-07T00:30:00Z"},
		},
		{
			"together with that midnight", "0,30 0,23 * * *", "America/Nuuk", "2024-03-30T12:00:00Z",
			[]string{"2024-03-31T01:00:00Z", "2024-03-31T01:30:00Z", "2024-04-01T00:00:00Z"},
		},
		// Troll turns by two hours: 01:00 becomes 03:00 on 29 March, 03:00 becomes 01:00 on
		// 25 October 2026, both at 01:00Z.
		{
			"two hours forward", "30 1,2 * * *", "Antarctica/Troll", "2026-03-28T12:00:00Z",
			[]string{"2026-03-29T01:00:00Z", "2026-03-29T23:30:00Z", "2026-03-30T00:30:00Z"},
		},
		{
			"two hours back", "30 1,2 * * *", "Antarctica/Troll", "2026-10-24T12:00:00Z",
			[]string{"2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z", "2026-10-26T02:30:00Z"},
		},
		// Casey turned by exactly three hours: 02:00 became 05:00 at 18:00Z on 17 October 2009.
		{
			"three hours forward are not the date line", "0 3,4 * * *", "Antarctica/Casey", "2009-10-17T00:00:00Z",
			[]string{"2009-10-17T18:00:00Z", "2009-10-18T16:00:00Z"},
		},
		// Casablanca turns its clock back for Ramadan: at 02:00Z on 15 February 2026, and
		// forward again at 02:00Z on 22 March.
		{
			"Ramadan begins", "30 2 * * *", "Africa/Casablanca", "2026-02-14T12:00:00Z",
			[]string{"2026-02-15T01:30:00Z", "2026-02-16T02:30:00Z"},
		},
		{
			"Ramadan ends", "30 2 * * *", "Africa/Casablanca", "2026-03-21T12:00:00Z",
			[]string{"2026-03-22T02:00:00Z", "2026-03-23T01:30:00Z"},
		},
		// Kolkata never turns its clock, which is half an hour off.
		{
			"no daylight saving", "0 9 * * 1-5", "Asia/Kolkata", "2026-03-27T00:00:00Z",
			[]string{"2026-03-27T03:30:00Z", "2026-03-30T03:30:00Z"},
		},
		{
			"full hours of a clock half an hour off", "0 * * * *", "Asia/Kolkata", "2026-03-27T00:00:00Z",
			[]string{"2026-03-27T00:30:00Z", "2026-03-27T01:30:00Z"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := parse(t, tt.pattern, tt.zone)
			var got []string
			for _, instant := range s.Between(at(t, tt.after), time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC), len(tt.want)) {
				got = append(got, instant.Format(time.RFC3339))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s in %s after %s (-want +got):\n%s", tt.pattern, tt.zone, tt.after, diff)
			}
		})
	}
}

func at(t testing.TB, text string) time.Time {
	t.Helper()
	instant, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t.Fatal(err)
	}
	return instant
}
