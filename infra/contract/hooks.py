"""Who asks, and what a generator cannot know, when schemathesis tries the API.

The document says what has the right form. Where the API also asks for sense (a
category that exists, a time zone that there is, the password that applies), what
was generated in the right form is given sense here, so that it must be taken.
What was generated in a wrong form is left alone and must be refused.
"""

import itertools
import os
import random
import threading
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import requests
import schemathesis

NOW = datetime.now(UTC)
BASE = os.environ["API_URL"]
PASSWORD = os.environ["ADMIN_PASSWORD"]


def call(method, path, token=None, **kwargs):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.request(method, BASE + path, headers=headers, timeout=30, **kwargs)
    answer.raise_for_status()
    return answer.json()["data"]


def sign_in(email, password):
    return call("POST", "/auth/login", json={"email": email, "password": password})


# --- Those who ask -----------------------------------------------------------

ADMIN = sign_in(os.environ["ADMIN_EMAIL"], PASSWORD)["accessToken"]


def make_user(name, role):
    given = {"email": f"{name}@example.com", "name": name, "password": PASSWORD, "role": role}
    return call("POST", "/users", ADMIN, json=given)["id"]


# The person signs out, changes the password and so on; nobody touches the two
# accounts that ask. What would change them changes the victim.
ADMIN_ID = call("GET", "/auth/me", ADMIN)["id"]
PERSON_ID = make_user("person", "viewer")
VICTIM_ID = make_user("victim", "viewer")
CATEGORY_ID, SPARE_CATEGORY_ID = (
    call("POST", "/categories", ADMIN, json={"name": name, "color": "#3B82F6"})["id"] for name in ("Tried", "Spare")
)
JOB = {
    "name": "Tried",
    "description": "Calls the system itself.",
    "cronPattern": "0 2 * * *",
    "categoryId": CATEGORY_ID,
    "url": f"{BASE}/local/echo",
}
JOB_ID = call("POST", "/jobs", ADMIN, json=JOB)["id"]
EXECUTION_ID = call("POST", f"/jobs/{JOB_ID}/execute?wait=20", ADMIN)["id"]

PERSONAL = {
    ("POST", "/auth/logout"),
    ("POST", "/auth/change-password"),
    ("PATCH", "/auth/me"),
    ("DELETE", "/auth/sessions/{id}"),
}


class Person:
    """An account whose session may end at any time, and is begun again."""

    def __init__(self):
        self.lock = threading.RLock()
        self.email, self.password, self.token = "person@example.com", PASSWORD, None

    def session(self):
        with self.lock:
            if self.token is None:
                self.token = self.fresh_session()["accessToken"]
            return self.token

    def fresh_session(self):
        """One beside that which asks."""
        with self.lock:
            return sign_in(self.email, self.password)

    def fresh_session_id(self):
        with self.lock:
            token = self.fresh_session()["accessToken"]
            mine = call("GET", "/auth/sessions?limit=100", token)
            return next(session["id"] for session in mine if session["current"])

    def learn(self, case, answer):
        """Keep up with what a request that succeeded has changed."""
        if answer.status_code != 200:
            return
        with self.lock:
            self.token = None
            body = case.body if isinstance(case.body, dict) else {}
            self.password = body.get("newPassword", self.password)
            if case.operation.path == "/auth/me":
                self.email = answer.json()["data"]["email"]


PERSON = Person()


def personal(case):
    return (case.operation.method.upper(), case.operation.path) in PERSONAL


@schemathesis.auth(refresh_interval=None)
class Session:
    def get(self, case, context):
        return PERSON.session() if personal(case) else ADMIN

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def after_call(context, case, response):
    if personal(case):
        PERSON.learn(case, response)


# --- Sense -------------------------------------------------------------------


NUMBERS = itertools.count(1)
COIN = random.Random(1)


def half_the_time():
    return COIN.random() < 0.5


def hard_to_guess(password):
    """As long as what was made, and neither common nor the present one."""
    return f"q{next(NUMBERS)}-Zw{password}"[: max(8, len(password))]


def whole(value):
    """1.0 as 1: Python's JSON tells them apart, and the API takes plain numbers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


CRONTAB = f"0 2 * * * curl -fsS {BASE}/local/echo\n"

# What a field must be, beyond its form. Jobs call the system itself.
SENSE = {
    "cronPattern": lambda _: "0 2 * * *",
    "timezone": lambda _: "Europe/Berlin",
    "categoryId": lambda _: CATEGORY_ID,
    "reassignTo": lambda _: CATEGORY_ID,
    "url": lambda _: f"{BASE}/local/echo",
    "headers": lambda _: {"X-Number": str(next(NUMBERS))},
    "allowedHosts": lambda _: ["api.example.com"],
    "secretHeaders": lambda _: ["X-Number"],
    "expiresAt": lambda _: (NOW + timedelta(days=30)).isoformat(),
    "currentPassword": lambda _: PERSON.password,
    "password": hard_to_guess,
    "newPassword": hard_to_guess,
    "from": lambda _: (NOW - timedelta(days=1)).isoformat(),
    "to": lambda _: NOW.isoformat(),
    "wait": lambda seconds: 0 if half_the_time() else seconds,
    "before": lambda _: (NOW - timedelta(days=1000)).isoformat(),
}


def give_sense(value):
    if isinstance(value, list):
        value[:] = map(whole, value)
        for item in value:
            give_sense(item)
    if isinstance(value, dict):
        if "categoryId" in value:
            value.pop("categoryName", None)  # one of them
        if "entityId" in value and not value.get("entity"):
            value["entity"] = "job"  # one of which kind
        for job in value.get("jobs") or []:
            if isinstance(job, dict):
                job["categoryId"] = CATEGORY_ID  # said for each, or for all
                job["name"] = f"Imported {next(NUMBERS)}"  # no two alike
        if "bodySecret" in value and "body" not in value:
            value.pop("bodySecret")  # of the body that comes with it
        if "ids" in value and value.get("action") != "move":
            value.pop("categoryId", None)  # where to move
        for name, inner in value.items():
            if name in SENSE and inner is not None:
                value[name] = SENSE[name](inner)
            elif name != "body":  # a job's may hold anything
                value[name] = whole(inner)
                give_sense(inner)


# Records that last, in place of numbers that were made up.
LASTING = {"/jobs": JOB_ID, "/history": EXECUTION_ID, "/categories": SPARE_CATEGORY_ID, "/users": VICTIM_ID}


def choose_record(case):
    """Look at a record that there is."""
    if case.operation.path == "/auth/sessions/{id}":
        case.path_parameters["id"] = PERSON.fresh_session_id()
    start = case.operation.path.partition("/{id}")[0]
    if start in LASTING and case.method.upper() != "DELETE" and case.meta.phase.name != "stateful":
        case.path_parameters["id"] = LASTING[start]


def choose_headers(case):
    """Half of the time any version, and a key that no request had before."""
    if "If-Match" in case.headers and half_the_time():
        case.headers["If-Match"] = "*"
    if "Idempotency-Key" in case.headers and half_the_time():
        case.headers["Idempotency-Key"] = f"key {next(NUMBERS)}"


def choose_names(case):
    """Half of the time what nobody else is called."""
    if not isinstance(case.body, dict):
        return
    if "email" in case.body and half_the_time():
        case.body["email"] = f"somebody-{next(NUMBERS)}@example.com"
    if "name" in case.body and half_the_time():
        case.body["name"] = f"Named {next(NUMBERS)}"


def enter_session(case):
    """Sign in as the person, and give what a session has given."""
    if not isinstance(case.body, dict):
        return
    if case.operation.path == "/auth/login":
        case.body.update(email=PERSON.email, password=PERSON.password)
    if case.operation.path in ("/auth/refresh", "/auth/logout") and "refreshToken" in case.body:
        case.body["refreshToken"] = PERSON.fresh_session()["refreshToken"]


def fresh_category():
    given = {"name": f"Short-lived {next(NUMBERS)}", "color": "#3B82F6"}
    return call("POST", "/categories", ADMIN, json=given)["id"]


def fresh_job():
    return call("POST", "/jobs", ADMIN, json=JOB | {"name": f"Short-lived {next(NUMBERS)}"})["id"]


@schemathesis.hook
def before_call(context, case, kwargs):
    path = case.path_parameters or {}
    record = (case.operation.path, str(path.get("id")))
    if case.method.upper() != "GET" and record in (("/users/{id}", str(ADMIN_ID)), ("/users/{id}", str(PERSON_ID))):
        path["id"] = VICTIM_ID
    if case.method.upper() == "DELETE" and record in (
        ("/categories/{id}", str(CATEGORY_ID)),
        ("/categories/{id}", str(SPARE_CATEGORY_ID)),
    ):
        path["id"] = fresh_category()
    if case.method.upper() == "DELETE" and record == ("/jobs/{id}", str(JOB_ID)):
        path["id"] = fresh_job()
    if case.meta is None or case.meta.generation.mode.is_negative:
        return
    if isinstance(case.query, dict):
        case.query.pop("cursor", None)  # only what a list has given
        give_sense(case.query)
    if path:
        choose_record(case)
    if case.headers:
        choose_headers(case)
    if isinstance(case.body, str) and case.media_type == "text/plain":
        case.body = CRONTAB
    give_sense(case.body)
    choose_names(case)
    enter_session(case)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Events are checked one by one, where OpenAPI 3.1 describes the whole text."""
    answers = raw_schema["paths"]["/history/stream"]["get"]["responses"]
    answers["200"]["content"]["text/event-stream"]["schema"] = {
        "type": "object",
        "required": ["id"],
        "properties": {"id": {"type": "string", "pattern": "^[0-9]+-[0-9]+$"}, "data": {"type": "string"}},
    }


# --- What is refused on purpose though it looks right, and the reverse ---------


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """False for what is no failure."""
    if type(failure).__name__ == "AcceptedNegativeData":
        # Forms of front ends send empty filters: they are as if not sent.
        given = [*(case.query or {}).values(), *(case.headers or {}).values()]
        return "" not in given
    return True


# --- What must have been seen --------------------------------------------------

# Successes that no request of a run leads to, and why.
RARE = {
    ("GET /history/stream", "204"): "an event source whose ticket has expired, which takes 15 minutes",
}


@schemathesis.check
class EverySuccessIsSeen:
    """Each status of success that the document names must have been answered:
    else what it says of that answer was never held against one."""

    def __init__(self):
        self.phases, self.seen, self.documented = set(), defaultdict(set), {}

    def after_response(self, ctx, response, case):
        operation = case.operation
        self.phases.add(ctx.phase.name)
        self.seen[operation.label].add(str(response.status_code))
        if operation.label not in self.documented:
            self.documented[operation.label] = [s for s in operation.definition.raw["responses"] if s[0] == "2"]

    def after_run(self, ctx):
        if len(self.phases) < 4:
            return  # a part of the run was asked for
        missed = {
            f"{label} {status}"
            for label, statuses in self.documented.items()
            for status in statuses
            if status not in self.seen[label] and (label, status) not in RARE
        }
        assert not missed, f"never answered: {', '.join(sorted(missed))}"
