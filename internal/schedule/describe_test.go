package schedule_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/schedule"
)

func TestDescription(t *testing.T) {
	t.Parallel()
	tests := []struct{ pattern, zone, want string }{
		{"* * * * *", "UTC", "Every minute."},
		{"*/1 * * * *", "Europe/Berlin", "Every minute."},
		{"*/5 * * * *", "UTC", "Every 5 minutes."},
		{"*/7 * * * *", "UTC", "At every 7th minute of every hour."},
		{"0 * * * *", "UTC", "At minute 0 of every hour."},
		{"5,35 * * * *", "UTC", "At minutes 5 and 35 of every hour."},
		{"10-20 * * * *", "UTC", "At minutes 10 through 20 of every hour."},
		{"5/15 * * * *", "UTC", "At minutes 5, 20, 35 and 50 of every hour."},
		{"1/3 * * * *", "UTC", "At every 3rd minute from 1 through 59 of every hour."},
		{"0,1/3 * * * *", "UTC", "At minutes 0 and every 3rd from 1 through 59 of every hour."},
		{"* * * * * *", "UTC", "Every second."},
		{"*/10 * * * * *", "UTC", "Every 10 seconds."},
		{"30 * * * * *", "UTC", "At second 30 of every minute."},
		{"*/10 5 * * * *", "UTC", "Every 10 seconds of minute 5 of every hour."},
		{"0 15 */2 * * *", "UTC", "At minute 15 of every 2nd hour every day, UTC."},
		{"0 9 * * *", "UTC", "At 09:00 every day, UTC."},
		{"0 9 * * *", "Europe/Berlin", "At 09:00 every day, Europe/Berlin time."},
		{"15 30 9 * * *", "UTC", "At 09:30:15 every day, UTC."},
		{"0 9,12,17 * * 1-5", "UTC", "At 09:00, 12:00 and 17:00 on Monday through Friday, UTC."},
		{"30 9-17 * * *", "UTC", "At minute 30 of hours 9 through 17 every day, UTC."},
		{"*/10 9-17 * * 1-5", "UTC", "Every 10 minutes from 09:00 through 17:59 on Monday through Friday, UTC."},
		{"* 9 * * *", "UTC", "Every minute from 09:00 through 09:59 every day, UTC."},
		{"* 8,18 * * *", "UTC", "Every minute during hours 8 and 18 every day, UTC."},
		{"* 0 9 * * *", "UTC", "Every second of minute 0 of hour 9 every day, UTC."},
		{"0 12 * * 0", "UTC", "At 12:00 on Sunday, UTC."},
		{"0 12 * * FRI-SUN", "UTC", "At 12:00 on Friday through Sunday, UTC."},
		{"0 12 * * 1,3,5", "UTC", "At 12:00 on Monday, Wednesday and Friday, UTC."},
		{"0 12 * * */2", "UTC", "At 12:00 on Sunday, Tuesday, Thursday and Saturday, UTC."},
		{"0 12 * * 5L", "UTC", "At 12:00 on the last Friday of the month, UTC."},
		{"0 12 * * 5#3,1", "UTC", "At 12:00 on Monday and the third Friday of the month, UTC."},
		{"@monthly", "UTC", "At 00:00 on day 1 of every month, UTC."},
		{"0 0 1,15 * *", "UTC", "At 00:00 on days 1 and 15 of every month, UTC."},
		{"0 0 */2 * *", "UTC", "At 00:00 on every 2nd day of every month, UTC."},
		{"0 0 L * *", "UTC", "At 00:00 on the last day of every month, UTC."},
		{"0 0 1,LW * *", "UTC", "At 00:00 on day 1 and the last workday of every month, UTC."},
		{"0 0 15W 6 *", "UTC", "At 00:00 on the workday nearest to day 15 of June, UTC."},
		{"@yearly", "UTC", "At 00:00 on day 1 of January, UTC."},
		{"0 0 * 6-8 *", "UTC", "At 00:00 every day in June through August, UTC."},
		{"0 0 * */3 MON", "UTC", "At 00:00 on Monday in January, April, July and October, UTC."},
		{"* * * 1 *", "UTC", "Every minute in January, UTC."},
		{"0 0 13 * 5", "UTC", "At 00:00 on day 13 of the month or on Friday, UTC."},
		{"0 0 13 6 5", "UTC", "At 00:00 on day 13 of the month or on Friday in June, UTC."},
		{"*/15 * 1 * *", "Asia/Kolkata", "Every 15 minutes on day 1 of every month, Asia/Kolkata time."},
	}
	for _, tt := range tests {
		if got := parse(t, tt.pattern, tt.zone).Description(); got != tt.want {
			t.Errorf("%s in %s:\n got %q\nwant %q", tt.pattern, tt.zone, got, tt.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, pattern, zone string
		want                []string
	}{
		{"nothing to say", "0 9 * * MON-FRI", "UTC", nil},
		{"never", "0 0 30 2 *", "UTC", []string{schedule.WarnNeverFires}},
		{"either day", "0 0 13 * 5", "UTC", []string{schedule.WarnEitherDayMatches}},
		{"either day, one of them every day", "0 0 13 * 0-7", "UTC", []string{schedule.WarnEitherDayMatches}},
		{"? restricts nothing", "0 0 ? * 5", "UTC", nil},
		{"every second of a minute", "* 0 9 * * *", "UTC", []string{schedule.WarnEverySecond}},
		{"every second at all", "* * * * * *", "UTC", nil},
		{"every minute of an hour", "* 9 * * *", "UTC", []string{schedule.WarnEveryMinute}},
		{"every minute of a stretch", "* 9-17 * * *", "UTC", nil},
		{"uneven minutes", "*/7 * * * *", "UTC", []string{schedule.WarnUnevenStep}},
		{"uneven minutes and hours", "*/7 */5 * * *", "UTC", []string{schedule.WarnUnevenStep, schedule.WarnUnevenStep}},
		{"even minutes", "*/12 */8 * */4 *", "UTC", nil},
		{"days always begin anew", "0 0 */2 * *", "UTC", []string{schedule.WarnUnevenStep}},
		{"a step of which one value is left", "0 0 * * */7", "UTC", nil},
		{"short months", "0 0 31 * *", "UTC", []string{schedule.WarnShortMonths}},
		{"short months that are not chosen", "0 0 31 1,3 *", "UTC", nil},
		{"the last day is in every month", "0 0 31,L * *", "UTC", nil},
		{"days that a range has in every month", "0 0 25-31 * *", "UTC", nil},
		{"a leap day", "0 0 29 2 *", "UTC", []string{schedule.WarnShortMonths, schedule.WarnFarAway}},
		{"a time in a gap", "30 2 * * *", "America/New_York", []string{schedule.WarnDSTMoved}},
		{"a time in a repeated hour", "30 1 * * *", "America/New_York", []string{schedule.WarnDSTOnce}},
		{"a time in a gap on another day", "30 2 * * MON-SAT", "America/New_York", nil},
		{"both", "30 1,2 * * *", "America/New_York", []string{schedule.WarnDSTMoved, schedule.WarnDSTOnce}},
		{"an interval of chosen hours in a gap", "*/30 2 * * *", "America/New_York", []string{schedule.WarnDSTSkipped}},
		{"an interval of chosen hours, repeated", "*/30 1 * * *", "America/New_York", []string{schedule.WarnDSTTwice}},
		{"an interval of every hour", "*/30 * * * *", "America/New_York", nil},
		{"a zone without daylight saving", "30 2 * * *", "Asia/Kolkata", nil},
		{"south of the equator", "15 2 * * *", "Australia/Lord_Howe", []string{schedule.WarnDSTMoved}},
	}
	for _, tt := range tests {
		var got []string
		for _, w := range parse(t, tt.pattern, tt.zone).Warnings(at(t, "2026-01-15T00:00:00Z")) {
			got = append(got, w.Code)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s: %s in %s (-want +got):\n%s", tt.name, tt.pattern, tt.zone, diff)
		}
	}
}

func TestWarningMessages(t *testing.T) {
	t.Parallel()
	tests := []struct{ pattern, zone, from, want string }{
		{
			"30 2 * * *", "America/New_York", "2026-01-15T00:00:00Z",
			"America/New_York has no 02:30 on 2026-03-08, the clock jumps over it: that run happens at 03:00 instead.",
		},
		{
			"30 1 * * *", "America/New_York", "2026-07-15T00:00:00Z",
			"America/New_York shows 01:30 twice on 2026-11-01: it runs the first time only.",
		},
		{
			"*/30 2 * * *", "America/New_York", "2026-01-15T00:00:00Z",
			"America/New_York has no 02:00 on 2026-03-08, the clock jumps over it: there is no run then.",
		},
		{
			"*/30 1 * * *", "America/New_York", "2026-01-15T00:00:00Z",
			"America/New_York shows 01:00 twice on 2026-11-01: it runs both times.",
		},
		{
			"0 9 * * *", "Pacific/Apia", "2011-12-01T00:00:00Z",
			"Pacific/Apia has no 09:00 on 2011-12-30, the date line moves over it: there is no run then.",
		},
		{
			"0 0 29 2 *", "UTC", "2026-01-15T00:00:00Z",
			"The next run is more than a year away: 2028-02-29T00:00:00Z.",
		},
		{
			"0 0 29 2 *", "UTC", "2027-12-15T00:00:00Z",
			"Months without a day 29 are skipped. February has a day 29 in leap years only. Write L for the last day of every month.",
		},
		{
			"*/7 * * * *", "UTC", "2026-01-15T00:00:00Z",
			"*/7 in the minute field begins anew with every hour: after 56 comes 0, less than 7 minutes later.",
		},
		{
			"0 */23 * * *", "UTC", "2026-01-15T00:00:00Z",
			"*/23 in the hour field begins anew with every day: after 23 comes 0, less than 23 hours later.",
		},
		{
			"0 0 */31 * *", "UTC", "2026-01-15T00:00:00Z",
			"*/31 in the day of month field matches 1 only, once a month.",
		},
		{"* * * * *", "UTC", "2099-12-31T23:59:00Z", "This pattern never fires before the year 2100."},
	}
	for _, tt := range tests {
		var got []string
		for _, w := range parse(t, tt.pattern, tt.zone).Warnings(at(t, tt.from)) {
			got = append(got, w.Message)
		}
		if !slices.Contains(got, tt.want) {
			t.Errorf("%s in %s from %s: %q\nwant %q", tt.pattern, tt.zone, tt.from, got, tt.want)
		}
	}
}
