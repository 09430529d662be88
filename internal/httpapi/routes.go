package httpapi

import (
	"strings"

	"github.com/cronjobs/cronjobs/internal/account"
)

// Who may call a route: the role named, and those that include it. A viewer
// reads, an operator also keeps and runs jobs, an admin does everything.
const (
	viewer   = account.Viewer
	operator = account.Operator
	admin    = account.Admin
)

// routes is the route table and, with its fourth column, the matrix of roles.
func (s *server) routes() {
	route(s, "POST", "/auth/login", public, "auth", "Sign in", s.login, neverConflicts,
		explained("A user has at most 200 sessions: one more ends the one that was not used for the longest."))
	route(s, "POST", refreshPath, public, "auth", "Exchange a refresh token for a new pair", s.refresh, neverConflicts)
	route(s, "POST", "/auth/logout", public, "auth", "End a session", s.logout, neverConflicts, takesToken)
	route(s, "GET", "/auth/me", viewer, "auth", "Read one's own account", s.me)
	route(s, "PATCH", "/auth/me", viewer, "auth", "Change one's own account", s.updateMe)
	route(s, "POST", "/auth/change-password", viewer, "auth", "Change one's own password", s.changePassword,
		explained("Ends all sessions, the present one among them: the pair in the answer begins a new one, and every token of before is refused. API tokens stay."))

	route(s, "POST", "/auth/register", public, "auth", "Make oneself an account, where that is allowed", s.register, creates)
	route(s, "GET", "/auth/sessions", viewer, "auth", "List where one is signed in", s.listSessions)
	route(s, "DELETE", "/auth/sessions/{id}", viewer, "auth", "End one of one's own sessions", s.endSession, neverConflicts)

	route(s, "GET", "/auth/tokens", viewer, "auth", "List one's own API tokens", s.listTokens)
	route(s, "POST", "/auth/tokens", viewer, "auth", "Make an API token for a script", s.createToken, creates,
		explained("At most 50 a user. The token itself is in this answer alone."))
	route(s, "DELETE", "/auth/tokens/{id}", viewer, "auth", "Revoke one of one's own API tokens", s.revokeToken, neverConflicts)

	route(s, "GET", "/users", admin, "users", "List users", s.listUsers)
	route(s, "POST", "/users", admin, "users", "Create a user", s.createUser, creates)
	route(s, "GET", "/users/{id}", admin, "users", "Read a user", s.getUser)
	route(s, "PUT", "/users/{id}", admin, "users", "Replace a user", s.replaceUser)
	route(s, "PATCH", "/users/{id}", admin, "users", "Change a user", s.patchUser)
	route(s, "DELETE", "/users/{id}", admin, "users", "Deactivate a user", s.deleteUser)

	route(s, "GET", "/categories", viewer, "categories", "List categories", s.listCategories)
	route(s, "POST", "/categories", operator, "categories", "Create a category", s.createCategory, creates)
	route(s, "GET", "/categories/{id}", viewer, "categories", "Read a category with its first jobs", s.getCategory)
	route(s, "PUT", "/categories/{id}", operator, "categories", "Replace a category", s.replaceCategory)
	route(s, "PATCH", "/categories/{id}", operator, "categories", "Change a category", s.patchCategory)
	route(s, "DELETE", "/categories/{id}", operator, "categories", "Delete a category", s.deleteCategory,
		explained("Where more than 500 jobs go to another category, they go in parts before it is deleted: a request that was cut off in between may be sent again."))

	route(s, "GET", "/jobs", viewer, "jobs", "List jobs", s.listJobs)
	route(s, "POST", "/jobs", operator, "jobs", "Create a job", s.createJob, creates, takesJob)
	route(s, "GET", "/jobs/export", operator, "jobs", "Export jobs for an import elsewhere", s.exportJobs, alsoText,
		explained("Secrets read as ********. Insignificant space in JSON bodies is not kept. As text/plain: lines of a crontab that call curl; what a crontab cannot say stands there as a comment."))
	route(s, "POST", "/jobs/import", operator, "jobs", "Import many jobs, all or none", s.importJobs, takesImport(s),
		explained("JSON as /jobs/export gives it in data, or a crontab of curl commands (docs/import.md). Faults name their place: jobs[3].cronPattern, or line 7.command of a crontab; the first 100 are listed. "+
			"A secret that is masked makes its job inactive, with the warning secret_missing; when a job is replaced, the stored secret is kept as long as scheme, host and port stay. "+
			"409 where a name is taken and onConflict is fail."))
	route(s, "GET", "/jobs/{id}", viewer, "jobs", "Read a job", s.getJob)
	route(s, "PUT", "/jobs/{id}", operator, "jobs", "Replace a job", s.replaceJob, takesJob)
	route(s, "PATCH", "/jobs/{id}", operator, "jobs", "Change a job", s.patchJob, takesJob)
	route(s, "DELETE", "/jobs/{id}", operator, "jobs", "Delete a job", s.deleteJob, neverConflicts)
	route(s, "POST", "/jobs/{id}/pause", operator, "jobs", "Pause a job", s.pauseJob, neverConflicts,
		explained("Its scheduled runs that wait are cancelled; a run under way goes on."))
	route(s, "POST", "/jobs/{id}/resume", operator, "jobs", "Resume a job", s.resumeJob, neverConflicts,
		explained("Also starts a job again that the system has stopped. What was due meanwhile is not caught up."))
	route(s, "POST", "/jobs/{id}/execute", operator, "jobs", "Run a job now and wait for the outcome", s.executeJob, mayBeAccepted(s))
	route(s, "POST", "/jobs/{id}/duplicate", operator, "jobs", "Copy a job", s.duplicateJob, creates,
		explained("The copy is inactive, has the secrets of the job, though not its signing key, and no history. It is called as the job with \" copy\" behind, or \" copy 2\" and so on."))
	route(s, "POST", "/jobs/{id}/signing-key", operator, "jobs", "Sign a job's requests with a new key", s.createSigningKey, creates, neverConflicts,
		explained("Requests then bear the headers of Standard Webhooks: webhook-id, webhook-timestamp and webhook-signature. A key that there was before also signs for 24 hours. The key is in this answer alone."))
	route(s, "DELETE", "/jobs/{id}/signing-key", operator, "jobs", "Sign a job's requests no longer", s.deleteSigningKey, neverConflicts)
	route(s, "POST", "/jobs/bulk", operator, "jobs", "Pause, resume, delete or move many jobs", s.changeJobs,
		explained("Each job stands for itself: the answer is 200 also where some, or all, could not be changed, and tells what became of each, in the order of the ids."))
	route(s, "POST", "/schedules/preview", viewer, "jobs", "Explain a schedule and list its next runs", s.previewSchedule, neverConflicts)

	route(s, "GET", "/secrets", admin, "secrets", "List the workspace's secrets", s.listSecrets)
	route(s, "GET", "/secrets/{name}", admin, "secrets", "Read what is known of a secret", s.getSecret)
	route(s, "PUT", "/secrets/{name}", admin, "secrets", "Store a secret that jobs may name", s.putSecret, mayCreateSecret(s), neverConflicts,
		explained("Jobs write {{secret.NAME}} in url (not in its host), headers and body; the value takes its place when the call is made, is sent to the allowed hosts alone, and is never shown again."))
	route(s, "DELETE", "/secrets/{name}", admin, "secrets", "Remove a secret", s.deleteSecret, neverConflicts)

	route(s, "GET", "/jobs/{id}/history", viewer, "history", "List a job's executions", s.listJobHistory)
	route(s, "GET", "/history", viewer, "history", "List executions", s.listHistory)
	route(s, "DELETE", "/history", admin, "history", "Remove old executions", s.deleteHistory, neverConflicts)
	route(s, "GET", streamPath, viewer, "history", "Follow executions as they change", s.streamHistory, streams)
	route(s, "POST", streamPath+"/ticket", viewer, "history", "Get a ticket for a browser's EventSource", s.issueTicket, neverConflicts)
	route(s, "GET", "/history/{id}", viewer, "history", "Read an execution with its attempts", s.getExecution)
	route(s, "POST", "/history/{id}/replay", operator, "history", "Make an execution's call once more and wait for the outcome", s.replayExecution, mayBeAccepted(s),
		explained("The request is the one that the execution was made with, whatever the job's has become; secret headers have their present values, unless the job calls another host by now. "+
			"409 where the job is deleted, or must not overlap and a run is in progress."))

	route(s, "GET", "/jobs/{id}/stats", viewer, "jobs", "Sum up a job's executions", s.jobStats, revalidates)
	route(s, "GET", "/dashboard", viewer, "dashboard", "See how everything is", s.dashboard, revalidates)
	route(s, "GET", "/dashboard/stats", viewer, "dashboard", "Sum up executions", s.dashboardStats, revalidates)
	route(s, "GET", "/dashboard/timeline", viewer, "dashboard", "Sum up executions by hour or day", s.dashboardTimeline, revalidates)
	route(s, "GET", "/dashboard/upcoming", viewer, "dashboard", "List the jobs that run next", s.dashboardUpcoming, revalidates)
	route(s, "GET", "/dashboard/failures", viewer, "dashboard", "List the jobs that fail: whose last runs failed since they were resumed", s.dashboardFailures, revalidates)

	route(s, "GET", "/audit", admin, "audit", "Read who changed what", s.listAudit, alsoCSV,
		explained("Every change by a person, every sign-in, failed or not, and every export leaves an entry, newest first. What changed nothing leaves none. As text/csv, itself an export, a part of at most 4 MB: the header Link names the next. "+
			"A cell that a spreadsheet would take for a formula begins with '."))

	route(s, "GET", "/health", public, "health", "Is the service well", s.health)
	route(s, "GET", "/health/live", public, "health", "Is the process alive", s.live)
	route(s, "GET", "/health/ready", public, "health", "Can requests be answered", s.ready)
}

// What an API token must be good for, besides its owner's role. signedIn is for
// what people do themselves: no token is taken.
const (
	reads                  = account.ReadScope
	writes                 = account.WriteScope
	executes               = account.ExecuteScope
	signedIn account.Scope = ""
)

// scopes is what API tokens may do: the first line that fits a route counts,
// with a path standing for all below it. A route that none fits takes none.
var scopes = []struct {
	method, path string // "" is any
	asks         account.Scope
}{
	{"GET", "/auth/me", reads},
	{"", "/auth", signedIn},
	{"", "/users", signedIn},
	{"", "/audit", signedIn},
	{"POST", "/schedules/preview", reads},
	{"POST", "/jobs/{id}/execute", executes},
	{"POST", "/jobs/{id}/pause", executes},
	{"POST", "/jobs/{id}/resume", executes},
	{"POST", "/history/{id}/replay", executes},
	{"GET", "", reads},
	{"", "/categories", writes},
	{"", "/jobs", writes},
}

func scopeOf(method, path string) account.Scope {
	for _, s := range scopes {
		if (s.method == "" || s.method == method) && (s.path == path || strings.HasPrefix(path, s.path+"/")) {
			return s.asks
		}
	}
	return signedIn
}
