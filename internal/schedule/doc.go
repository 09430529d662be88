// Package schedule says when a job is due: it reads cron patterns and time
// zones, finds the instants at which a pattern fires, and explains a pattern in
// English. It knows nothing of jobs, storage or HTTP.
//
// # Patterns
//
// A pattern is at most 100 bytes of ASCII: five fields (minute, hour, day of
// month, month, day of week), six with leading seconds, or one of the macros
// @yearly @annually @monthly @weekly @daily @midnight @hourly. Fields are
// separated by spaces or tabs. Case does not matter.
//
//   - every value (also ? in the two day fields); stands alone
//     5  1,15      a value, a list; a leading zero is allowed
//     9-17         a range, from low to high
//     */15         every 15th value of the field
//     9-17/2       every 2nd value of the range
//     5/15         every 15th value from 5 to the end of the field
//     JAN  MON     names of months and weekdays
//     7  FRI-SUN   Sunday is 0 or 7, and may end a range
//     L  LW  15W   day of month: the last day, the last workday, the workday
//     (Monday to Friday) of the same month nearest to the 15th
//     5L  5#3      day of week: the last Friday, the third Friday of the month
//
// When both day fields are restricted, that is, neither is * or ?, a day that
// matches either of them counts.
//
// # Daylight saving
//
// A pattern is matched against the reading of a wall clock in the schedule's
// zone. What happens when that clock is turned depends on the kind of pattern.
//
// An interval schedule has a * or a / in its second, minute or hour. It fires
// at every instant whose reading matches: in both passes of an hour that the
// clock repeats, and not at all for readings that the clock jumps over.
//
// Every other schedule fires at fixed times, once for each matching reading: in
// the first pass of a repeated hour, and, where the clock jumps over the
// reading, at the first instant after the jump. Readings lost in the same jump
// fire once, together. A jump of more than three hours is a change of the date
// line rather than daylight saving, and what it jumps over is skipped.
//
// Nothing fires before 1970 or after 2099, the years on the wall clock.
//
// # How it works
//
// github.com/gorhill/cronexpr knows the calendar: which reading matches next.
// It is given neither a caller's text nor a zone, because it accepts patterns
// that it then cannot evaluate and loses its way when a clock is turned. It sees
// a pattern written anew from the parsed fields, and readings labelled UTC. The
// offsets of the zone are walked here.
package schedule
