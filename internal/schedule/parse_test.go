package schedule_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cronjobs/cronjobs/internal/schedule"
)

func TestParseAccepts(t *testing.T) {
	t.Parallel()
	tests := []struct{ pattern, canonical string }{
		{"* * * * *", "* * * * *"},
		{"  0\t9  *  * 1 ", "0 9 * * 1"},
		{"0 0 9 * * 1", "0 9 * * 1"},
		{"00 00 09 * * 1", "0 9 * * 1"},
		{"30 0 9 * * 1", "30 0 9 * * 1"},
		{"* * * * * *", "* * * * * *"},
		{"*/15 * * * * *", "*/15 * * * * *"},
		{"05,03,5 * * * *", "3,5 * * * *"},
		{"10-20,5 * * * *", "5,10-20 * * * *"},
		{"7-7 * * * *", "7 * * * *"},
		{"*/1 * * * *", "* * * * *"},
		{"*/01 */1 */1 */1 */1", "* * */1 * */1"},
		{"5/15 8-18/02 * * *", "5/15 8-18/2 * * *"},
		{"5-5/2 * * * *", "5-5/2 * * * *"},
		{"*/59 */23 */31 */12 */7", "*/59 */23 */31 */12 */7"},
		{"0 0 1 jan,Dec,JUL-sep *", "0 0 1 1,7-9,12 *"},
		{"0 0 * feb/3 mon", "0 0 * 2/3 1"},
		{"0 0 ? * MON-FRI", "0 0 * * 1-5"},
		{"0 0 ? * ?", "0 0 * * *"},
		{"0 0 * * 7", "0 0 * * 0"},
		{"0 0 * * 0,7", "0 0 * * 0"},
		{"0 0 * * 5-7", "0 0 * * 5-7"},
		{"0 0 * * FRI-SUN", "0 0 * * 5-7"},
		{"0 0 * * sun-tue", "0 0 * * 0-2"},
		{"0 0 * * SUN-SUN", "0 0 * * 0"},
		{"0 0 * * 7-7", "0 0 * * 0"},
		{"0 0 * * 7/2", "0 0 * * 0/2"},
		{"0 0 * * 01", "0 0 * * 1"},
		{"0 0 l * *", "0 0 L * *"},
		{"0 0 lw,L,15w,1 * *", "0 0 1,15W,L,LW * *"},
		{"0 0 31W,01W * *", "0 0 1W,31W * *"},
		{"0 0 * * 5L", "0 0 * * 5L"},
		{"0 0 * * friL,7l", "0 0 * * 0L,5L"},
		{"0 0 * * 5#3,sun#1,7#2", "0 0 * * 0#1,0#2,5#3"},
		{"0 0 1-31 * 0-7", "0 0 1-31 * 0-7"},
		{"@yearly", "0 0 1 1 *"},
		{"@annually", "0 0 1 1 *"},
		{"@monthly", "0 0 1 * *"},
		{"@weekly", "0 0 * * 0"},
		{"@daily", "0 0 * * *"},
		{" @Midnight ", "0 0 * * *"},
		{"@HOURLY", "0 * * * *"},
		{strings.Repeat(" ", 91) + "* * * * *", "* * * * *"},
	}
	for _, tt := range tests {
		s, err := schedule.Parse(tt.pattern, "Europe/Berlin")
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.pattern, err)
			continue
		}
		if s.String() != tt.canonical {
			t.Errorf("Parse(%q).String() = %q, want %q", tt.pattern, s, tt.canonical)
		}
		if s.Zone() != "Europe/Berlin" {
			t.Errorf("Parse(%q).Zone() = %q", tt.pattern, s.Zone())
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ pattern, field, says string }{
		{"", "", "is empty; write five fields"},
		{" \t ", "", "is empty"},
		{"*", "", "has 1 field;"},
		{"* * * *", "", "has 4 fields"},
		{"* * * * * * *", "", "has 7 fields"},
		{"0 0 0 1 1 * 2030 extra", "", "has 8 fields"},
		{strings.Repeat("*", 101), "", "longer than 100 bytes"},
		{strings.Repeat(" ", 92) + "* * * * *", "", "longer than 100 bytes"},
		{"* * * * *\n", "", "not printable ASCII"},
		{"* * * * \x00", "", "not printable ASCII"},
		{"* * * * ٣", "", "not printable ASCII"},
		{"*\u00a0* * * *", "", "not printable ASCII"},
		{"@reboot", "", "this macro is not known; use @yearly"},
		{"@every 5m", "", "has 2 fields"},
		{"5 @hourly", "", "has 2 fields"},
		{"@hourly @daily", "", "has 2 fields"},
		{"@ * * * *", "minute", "a value is not understood"},

		{"60 * * * * *", "second", `"60" is out of range; this field takes *, 0-59`},
		{"? * * * * *", "second", `"?" is not understood`},
		{"60 * * * *", "minute", `"60" is out of range; this field takes *, 0-59`},
		{"-5 * * * *", "minute", `"-5" is not understood`},
		{"+5 * * * *", "minute", "a value is not understood"},
		{"5- * * * *", "minute", `"5-" is not understood`},
		{"- * * * *", "minute", `"-" is not understood`},
		{"1.5 * * * *", "minute", "a value is not understood"},
		{"005 * * * *", "minute", `"005" is not understood`},
		{"100 * * * *", "minute", `"100" is out of range`},
		{"99999999999999999999 * * * *", "minute", "is not understood"},
		{"50-10 * * * *", "minute", `the range "50-10" is reversed`},
		{"5-1/2 * * * *", "minute", `the range "5-1/2" is reversed`},
		{"1-2-3 * * * *", "minute", `"1-2-3" is not understood`},
		{"*/0 * * * *", "minute", `the step of "*/0" must be a number from 1 to 59`},
		{"*/60 * * * *", "minute", "from 1 to 59"},
		{"*/ * * * *", "minute", "from 1 to 59"},
		{"*/-1 * * * *", "minute", "from 1 to 59"},
		{"*/5/5 * * * *", "minute", "from 1 to 59"},
		{"/5 * * * *", "minute", `"/5" is not understood`},
		{"** * * * *", "minute", `"**" is not understood`},
		{"*-5 * * * *", "minute", `"*-5" is not understood`},
		{", * * * *", "minute", "a list has an empty entry"},
		{"1,,2 * * * *", "minute", "a list has an empty entry"},
		{"1, * * * *", "minute", "a list has an empty entry"},
		{"*,5 * * * *", "minute", `"*" stands alone, not in a list`},
		{"5,* * * * *", "minute", `"*" stands alone, not in a list`},
		{"L * * * *", "minute", `"L" is not understood`},
		{"JAN * * * *", "minute", `"JAN" is not understood`},
		{"<script>alert(document.cookie)</script> * * * *", "minute", "the step of a value must be"},
		{"* 24 * * *", "hour", `"24" is out of range; this field takes *, 0-23`},
		{"* 22-6 * * *", "hour", `the range "22-6" is reversed, write it from low to high`},
		{"* */24 * * *", "hour", "from 1 to 23"},
		{"* * 0 * *", "day of month", `"0" is out of range; this field takes * or ?, 1-31`},
		{"* * 32 * *", "day of month", `"32" is out of range`},
		{"* * 31-1 * *", "day of month", "is reversed"},
		{"* * ?,1 * *", "day of month", `"?" stands alone, not in a list`},
		{"* * ?/2 * *", "day of month", `"?/2" is not understood`},
		{"* * L-3 * *", "day of month", `"L-3" is not understood`},
		{"* * 5L * *", "day of month", `"5L" is not understood`},
		{"* * W * *", "day of month", `"W" is not understood`},
		{"* * WL * *", "day of month", `"WL" is not understood`},
		{"* * 0W * *", "day of month", `"0W" is out of range`},
		{"* * 32W * *", "day of month", `"32W" is out of range`},
		{"* * 1-5W * *", "day of month", `"1-5W" is not understood`},
		{"* * * 0 *", "month", `"0" is out of range; this field takes *, 1-12 or JAN-DEC`},
		{"* * * 13 *", "month", `"13" is out of range`},
		{"* * * JANUARY *", "month", "a value is not understood"},
		{"* * * DEC-JAN *", "month", `the range "DEC-JAN" is reversed`},
		{"* * * ? *", "month", `"?" is not understood`},
		{"* * * * 8", "day of week", `"8" is out of range; this field takes * or ?, 0-7 (0 and 7 are Sunday) or SUN-SAT`},
		{"* * * * FRIDAY", "day of week", "a value is not understood"},
		{"* * * * *,banana", "day of week", `"*" stands alone`},
		{"* * * * banana", "day of week", "a value is not understood"},
		{"* * * * 5-1", "day of week", `the range "5-1" is reversed`},
		{"* * * * 5-0", "day of week", `the range "5-0" is reversed`},
		{"* * * * 7-1", "day of week", `the range "7-1" is reversed`},
		{"* * * * SAT-MON", "day of week", `the range "SAT-MON" is reversed`},
		{"* * * * L", "day of week", `"L" is not understood`},
		{"* * * * 8L", "day of week", `"8L" is out of range`},
		{"* * * * 5#0", "day of week", `the week of "5#0" must be a number from 1 to 5`},
		{"* * * * 5#6", "day of week", `the week of "5#6" must be a number from 1 to 5`},
		{"* * * * 5#", "day of week", "from 1 to 5"},
		{"* * * * #3", "day of week", `"#3" is not understood`},
		{"* * * * 5#3L", "day of week", "from 1 to 5"},
		{"* * * * 5W", "day of week", `"5W" is not understood`},
	}
	for _, tt := range tests {
		s, err := schedule.Parse(tt.pattern, "UTC")
		var problem *schedule.SyntaxError
		if !errors.As(err, &problem) {
			t.Errorf("Parse(%q) = %v, %v, want a *SyntaxError", tt.pattern, s, err)
			continue
		}
		if problem.InZone || problem.Field != tt.field || !strings.Contains(problem.Message, tt.says) {
			t.Errorf("Parse(%q): %+v, want field %q and %q", tt.pattern, *problem, tt.field, tt.says)
		}
		if tt.field != "" && !strings.HasPrefix(problem.Message, tt.field+": ") {
			t.Errorf("Parse(%q): %q does not name the field", tt.pattern, problem.Message)
		}
		if len(problem.Message) > 300 {
			t.Errorf("Parse(%q): a message of %d bytes", tt.pattern, len(problem.Message))
		}
	}
}

func TestParseReportsPatternAndZone(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, pattern, zone string
		inZone              []bool
	}{
		{"both are at fault", "* * * *", "Mars/Olympus", []bool{false, true}},
		{"the pattern is", "* * * *", "UTC", []bool{false}},
		{"the zone is", "* * * * *", "", []bool{true}},
		{"neither is", "* * * * *", "UTC", nil},
	}
	for _, tt := range tests {
		_, err := schedule.Parse(tt.pattern, tt.zone)
		var inZone []bool
		for _, problem := range schedule.SyntaxErrors(err) {
			inZone = append(inZone, problem.InZone)
			if !strings.Contains(err.Error(), problem.Message) {
				t.Errorf("%s: %q does not say %q", tt.name, err, problem.Message)
			}
		}
		if diff := cmp.Diff(tt.inZone, inZone); diff != "" {
			t.Errorf("%s: errors in zone (-want +got):\n%s", tt.name, diff)
		}
	}
	if got := schedule.SyntaxErrors(errors.New("something else")); got != nil {
		t.Errorf("SyntaxErrors of another error: %v", got)
	}
}

func TestNextIsStrictlyLater(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, pattern, after, want string }{
		{"from between", "* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"},
		{"from the instant itself", "* * * * *", "2026-01-01T00:01:00Z", "2026-01-01T00:02:00Z"},
		{"from a nanosecond before", "* * * * *", "2026-01-01T00:00:59.999999999Z", "2026-01-01T00:01:00Z"},
		{"from a nanosecond after", "* * * * *", "2026-01-01T00:01:00.000000001Z", "2026-01-01T00:02:00Z"},
		{"from another zone", "0 12 * * *", "2026-01-01T14:00:00+05:00", "2026-01-01T12:00:00Z"},
		{"from before 1970", "0 12 * * *", "1950-01-01T00:00:00Z", "1970-01-01T12:00:00Z"},
		{"from year 1", "* * * * *", "0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"},
		{"the last minute of 2099", "* * * * *", "2099-12-31T23:58:00Z", "2099-12-31T23:59:00Z"},
		{"nothing after 2099", "* * * * *", "2099-12-31T23:59:00Z", ""},
		{"nothing long after 2099", "* * * * *", "9999-12-31T23:59:00Z", ""},
		{"a day that never comes", "0 0 30 2 *", "2026-01-01T00:00:00Z", ""},
		{"a leap day", "0 0 29 2 *", "2096-02-29T00:00:00Z", ""},
		{"a leap day eight years on", "0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
	}
	for _, tt := range tests {
		next, ok := parse(t, tt.pattern, "UTC").Next(at(t, tt.after))
		got := ""
		if ok {
			got = next.Format(time.RFC3339Nano)
		}
		if got != tt.want || !ok && !next.IsZero() {
			t.Errorf("%s: Next = %v, %v, want %q", tt.name, next, ok, tt.want)
		}
		if ok && next.Location() != time.UTC {
			t.Errorf("%s: Next is in %v, want UTC", tt.name, next.Location())
		}
	}
}

func TestBetween(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, after, until string
		limit              int
		want               []string
	}{
		{"excludes the start and includes the end", "00:00:00", "00:10:00", 9, []string{"00:05:00", "00:10:00"}},
		{"leaves out what is after the end", "00:00:00", "00:09:59", 9, []string{"00:05:00"}},
		{"stops at the limit", "00:00:00", "01:00:00", 2, []string{"00:05:00", "00:10:00"}},
		{"of nothing", "00:05:00", "00:05:00", 9, nil},
		{"of less than nothing", "00:10:00", "00:05:00", 9, nil},
		{"with no limit left", "00:00:00", "01:00:00", 0, nil},
		{"with a negative limit", "00:00:00", "01:00:00", -1, nil},
	}
	s := parse(t, "*/5 * * * *", "UTC")
	for _, tt := range tests {
		var got []string
		for _, instant := range s.Between(at(t, "2026-01-01T"+tt.after+"Z"), at(t, "2026-01-01T"+tt.until+"Z"), tt.limit) {
			got = append(got, instant.Format(time.TimeOnly))
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}
