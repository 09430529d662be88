package httpapi

// word explains a field or parameter where its tags do not.
type word struct {
	means   string
	example any
}

// words are what names mean throughout the document. Where a schema uses a name
// in another sense, "Schema.name" stands before it here. Tags come first: what
// is said at the field itself is not replaced.
var words = map[string]word{
	"abandoned":           {"How many runs were given up because nothing was heard of them any more.", 0},
	"accessToken":         {"The bearer token of the requests that follow.", exampleJWT},
	"action":              {means: "What to do, or was done."},
	"active":              {"How many are active.", 3},
	"address":             {"An IP address.", "203.0.113.7"},
	"attempt":             {"Counted from 1.", 1},
	"attempts":            {means: "The calls that were made, in their order."},
	"avg":                 {"The mean.", 182.4},
	"body":                {"What is sent: any JSON; null for nothing.", map[string]any{"full": true}},
	"bodySecret":          {means: "Whether the body is never shown again."},
	"cancelled":           {"How many runs were cancelled before they began.", 0},
	"categories":          {means: "How many categories there are."},
	"category":            {means: "The category that the job belongs to."},
	"categoryId":          {"The number of a category.", 2},
	"categoryName":        {"The name of a category.", "Reports"},
	"code":                {means: "What it is about, for programs."},
	"color":               {"How the category is shown.", "#3B82F6"},
	"connect":             {"Milliseconds until the connection stood.", 12.4},
	"consecutiveFailures": {"How many runs have failed since the last that succeeded, or since somebody resumed the job.", 0},
	"count":               {"How many.", 5},
	"created":             {"How many were, or would be, created.", 4},
	"createdAt":           {means: "When it was created."},
	"createdBy":           {"The number of the user who created it; null where that is not known.", 1},
	"cronPattern":         {"When the job runs: a cron pattern.", "0 2 * * *"},
	"currentPassword":     {"The password that still applies.", "a stapled battery"},
	"cursor":              {"Where to go on.", "AAABm_8kXAAAAAAAAAAq"},
	"data":                {means: "What was asked for."},
	"description":         {"What it is for.", "Mails the figures of the day."},
	"dns":                 {"Milliseconds until the host's address was known.", 3.1},
	"dryRun":              {means: "Whether nothing was stored."},
	"duration":            {"Milliseconds.", 182},
	"durationP95":         {"Milliseconds.", 420},
	"email":               {"An e-mail address; unique, in lower case.", "ada@example.com"},
	"enabled":             {means: "Whether the job's requests are signed."},
	"endedAt":             {means: "When it ended."},
	"error":               {means: "Why it failed; null where it did not."},
	"executionId":         {"The number of an execution.", 42},
	"executions":          {means: "How many executions there were, by outcome."},
	"failed":              {"How many failed.", 1},
	"field":               {"Which field is at fault.", "cronPattern"},
	"from":                {means: "Where the span of time begins."},
	"generatedAt":         {means: "When these figures were taken."},
	"headers":             {"Names and values; secret values read as ********.", map[string]any{"X-Team": "billing"}},
	"id":                  {"The number of the record.", 7},
	"If-Match":            {"The ETag that the record must still have, else 412; * for any.", `"3"`},
	"If-None-Match":       {"The ETag of what the client has.", `W/"p2QmV0h1nYk"`},
	"Idempotency-Key":     {"Chosen by the client, to send again safely.", "c0a8012e-1"},
	"inactive":            {"How many are inactive.", 1},
	"index":               {"Its place, counted from 0.", 0},
	"interval":            {means: "How long each bucket is."},
	"isActive":            {means: "Whether it is in use."},
	"jobCount":            {"How many jobs it has.", 3},
	"jobId":               {"The number of a job.", 7},
	"jobName":             {"The name that the job had.", "Nightly report"},
	"jobs":                {means: "The jobs."},
	"keys":                {"How many keys sign at present; two for a day after a change.", 1},
	"kind":                {means: "What kind of failure it was."},
	"Last-Event-ID":       {"The id of the last event that was received.", "1769851800000-42"},
	"last24h":             {means: "The last 24 whole hours and the present one."},
	"lastFailedAt":        {means: "When it failed last."},
	"lastLoginAt":         {means: "When the user signed in last; null for never."},
	"lastPage":            {"The number of the last page; 0 where there are no records.", 1},
	"lastRunAt":           {means: "When it ran last; null before the first run."},
	"lateness":            {"Milliseconds.", 350},
	"latenessP95":         {"Milliseconds.", 900},
	"limit":               {means: "At most so many."},
	"max":                 {"The longest.", 640},
	"maxRedirects":        {"How many redirects are followed.", 0},
	"message":             {"What happened, for people.", "Done."},
	"meta":                {means: "Which part of the whole this is."},
	"method":              {means: "The method of the call."},
	"misfirePolicy":       {means: "What happens to instants that passed while the system did not run."},
	"missed":              {"How many instants passed without a run.", 0},
	"name":                {"How it is called.", "Reports"},
	"newPassword":         {"The password that shall apply; 8 characters or more, and no common one.", "another stapled battery"},
	"nextCursor":          {"Where the next request goes on.", "AAABm_8kXAAAAAAAAAAq"},
	"nextRunAt":           {means: "When it runs next."},
	"ok":                  {means: "Whether it was done."},
	"overlapPolicy":       {means: "Whether a run that is due while another runs is made too."},
	"p50":                 {"The median.", 150},
	"p95":                 {"19 of 20 were as short, or shorter.", 420},
	"p99":                 {"99 of 100 were as short, or shorter.", 600},
	"page":                {"The number of this page, from 1.", 1},
	"password":            {"The password.", "a stapled battery"},
	"perPage":             {"How many records a page has.", 10},
	"reason":              {"Why.", "overlap"},
	"refreshToken":        {"What the next pair of tokens is had for, once.", exampleJWT},
	"remembered":          {means: "Whether it was asked to last long."},
	"requestId":           {"Names the request in the logs.", exampleRequestID},
	"responseBody":        {"What was answered.", `{"ok":true}`},
	"responseEncoding":    {means: "Whether responseBody is the text itself, or bytes as base64."},
	"responseHeaders":     {"The headers of the answer; null where there was none.", map[string]any{"Content-Type": "application/json"}},
	"responseStatus":      {"The status of the answer; null where there was none.", 200},
	"responseTruncated":   {means: "Whether the answer was longer than what is kept."},
	"retryAttempts":       {"How often a call that failed is tried again.", 3},
	"retryBackoff":        {means: "Whether the pause between attempts stays as it is or doubles each time."},
	"retryDelay":          {"Milliseconds.", 1000},
	"role":                {means: "What the user may do."},
	"running":             {"How many run at present.", 0},
	"scheduledFor":        {means: "When it was due."},
	"scopes":              {means: "What the token may do."},
	"search":              {"A part of the text.", "report"},
	"secretHeaders":       {"Headers whose values are never shown again.", []any{"X-Signature"}},
	"signing":             {means: "Whether the job's requests are signed, and by how many keys."},
	"skipped":             {"How many were passed over.", 0},
	"startedAt":           {means: "When it began."},
	"status":              {means: "How it stands."},
	"statusCode":          {"The status of the answer.", 200},
	"statusReason":        {"Why it does not run.", "20 runs in a row failed"},
	"succeeded":           {"How many were done.", 2},
	"success":             {means: "Whether the request succeeded."},
	"successCount":        {"How many runs succeeded.", 118},
	"successRate":         {"Of the runs that ended as success, failed or abandoned, the part that succeeded; null where there were none.", 0.975},
	"ticket":              {"A ticket for the stream.", exampleJWT},
	"timeout":             {"Milliseconds.", 30000},
	"timestamp":           {means: "When it was answered."},
	"timezone":            {"A name of the IANA time zone database.", "Europe/Berlin"},
	"tls":                 {"Milliseconds that the TLS handshake took.", 24.9},
	"to":                  {means: "Where the span of time ends."},
	"total":               {"How many there are.", 40},
	"totalExecutions":     {"How many runs there were.", 120},
	"trigger":             {means: "What made it run."},
	"ttfb":                {"Milliseconds until the first byte of the answer.", 170.2},
	"updated":             {"How many were, or would be, replaced.", 0},
	"updatedAt":           {means: "When a person, or the system, changed it last."},
	"url":                 {"The address that is called.", "https://example.com/report"},
	"user":                {means: "Who signed in."},
	"userAgent":           {"What the client called itself.", "Mozilla/5.0"},
	"waiting":             {"How many wait.", 0},
	"warnings":            {means: "What is allowed and worth knowing."},

	"AuditEntryView.action":     {means: "What was done."},
	"AuditEntryView.address":    {"Where it came from.", "203.0.113.7"},
	"AuditEntryView.at":         {means: "When it was done."},
	"AuditEntryView.entity":     {means: "What it was done to."},
	"AuditEntryView.entityId":   {"Which one it was done to; null where it was several, or none.", 7},
	"AuditEntryView.entityName": {"How it was called then; may be empty.", "Nightly report"},
	"AuditEntryView.before":     {"", map[string]any{"cronPattern": "0 2 * * *"}},
	"AuditEntryView.after":      {"", map[string]any{"cronPattern": "0 3 * * *"}},
	"AuditEntryView.sessionId":  {"The session that was used; null where there was none.", 4188213070651},
	"AuditEntryView.tokenId":    {"The API token that was used; null where there was none.", 3},
	"AuditEntryView.userEmail":  {"The user's present address.", "ada@example.com"},
	"AuditEntryView.userId":     {"Who did it; null where nobody was signed in.", 7},
	"userId":                    {"Who did it.", 7},
	"entity":                    {means: "What it was done to."},
	"entityId":                  {"Which one it was done to.", 7},

	"AttemptView.total":            {"Milliseconds that all of it took.", 182.0},
	"BucketView.success":           {"How many runs succeeded.", 39},
	"CategoryStatsView.success":    {"How many runs succeeded.", 39},
	"CountsView.success":           {"How many runs succeeded.", 39},
	"CreateUserBody.name":          personName,
	"Done.data":                    {means: "Always null."},
	"ErrorEnvelope.message":        {"What is wrong, for people.", "The request is not valid."},
	"FailureView.message":          {"What went wrong, for people.", "The host answered 503."},
	"FieldFault.message":           {"What is wrong with the field.", "is required"},
	"IdentityView.name":            personName,
	"ImportItemView.name":          jobNameWord,
	"ExportedJob.name":             jobNameWord,
	"JobChange.name":               jobNameWord,
	"JobView.name":                 jobNameWord,
	"OverviewView.jobs":            {means: "How many jobs there are."},
	"DashboardView.jobs":           {means: "How many jobs there are."},
	"PatchUserBody.name":           personName,
	"RegisterBody.name":            personName,
	"ReplaceUserBody.name":         personName,
	"SchedulePreviewBody.timezone": {"A name of the IANA time zone database.", "Europe/Berlin"},
	"ScheduleWarning.message":      {"What it is about, for people.", "The pattern never fires."},
	"TokenView.name":               {"How the script is called.", "deploy script"},
	"UpdateMeBody.name":            personName,
	"UserView.name":                personName,
}

var (
	personName  = word{"The user's name.", "Ada Lovelace"}
	jobNameWord = word{"The job's name, unique among jobs.", "Nightly report"}
)

// exampleJWT has the form of a token and none of its power.
const exampleJWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI3In0.c2lnbmF0dXJl"

// explainAll gives fields and parameters the meanings and examples that they
// lack.
func explainAll(schemas, paths map[string]any) {
	for name, schema := range schemas {
		properties, _ := schema.(map[string]any)["properties"].(map[string]any)
		for field, property := range properties {
			explain(property.(map[string]any), name, field)
		}
	}
	for _, path := range paths {
		for _, op := range path.(map[string]any) {
			parameters, _ := op.(map[string]any)["parameters"].([]any)
			for _, p := range parameters {
				p := p.(map[string]any)
				schema := p["schema"].(map[string]any)
				explain(schema, "", p["name"].(string))
				if p["in"] == "query" && p["required"] != true && schema["default"] == nil && schema["minLength"] == nil {
					p["allowEmptyValue"] = true // an empty filter is no filter: see intake.param
				}
				if p["description"] == nil {
					p["description"] = schema["description"]
				}
			}
		}
	}
}

// explain completes one field of a schema, or a parameter.
func explain(property map[string]any, schema, name string) {
	said, ok := words[schema+"."+name]
	if !ok {
		said = words[name]
	}
	if property["description"] == nil && said.means != "" {
		property["description"] = said.means
	}
	if said.example == nil || property["examples"] != nil || property["$ref"] != nil ||
		property["enum"] != nil || property["default"] != nil {
		return
	}
	property["examples"] = []any{said.example}
}
