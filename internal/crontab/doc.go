// Package crontab reads the lines of a crontab that call curl as jobs, and
// writes jobs as such lines. It stores nothing and knows neither HTTP servers
// nor SQL.
//
// # What is read
//
// A line is a cron pattern and a curl command. "# name: Nightly report" above
// it names the job and "# description: …" describes it; a job without a name is
// called after the host and path of its URL, with a number where that is taken.
// CRON_TZ= or TZ= sets the time zone of the lines below; any other variable is
// left out with a warning. Comments, blank lines, CRLF and a byte order mark
// are taken as they come.
//
// As cron does, a % must be written \%. The words of a command are read as
// a shell reads them: '…', "…", $'…' and backslashes. What a shell would work
// out as it runs (variables, `…`, $(…), pipes, &&, files) has no place in a job
// and is a fault; output may go to /dev/null.
//
// # Why not a shell's parser
//
// The libraries that split words take a quoted and a bare $ or | alike, and
// would import another call than the line makes. Those that parse a shell in
// full follow nested commands by recursion, which text from a stranger must not
// drive. What is wanted is a flat language of words and quotes; the rest must
// only be recognised to be refused.
package crontab
