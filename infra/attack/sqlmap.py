"""Runs sqlmap against every parameter that the OpenAPI document at API_URL names.

Texts and numbers of queries and paths, and of JSON bodies as their examples
have them, are tried with boolean and error-based techniques. A server that is
open on purpose is tried first, with the same options: were it not found to be
open, the rest would say nothing.
"""
import concurrent.futures
import datetime
import http.server
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import urllib.parse
import urllib.request

OPTIONS = ["--batch", "--disable-coloring", "--level=1", "--risk=1", "--technique=BE",
           "--ignore-code=*", "--timeout=20", "--retries=1", "--drop-set-cookie"]
# Values that something matches: what is always empty tells true from false in
# nothing.
VALUES = {"search": "a", "role": "admin", "isActive": "true", ("/history", "status"): "failed", ("/history", "trigger"): "manual",
          "action": "job.create", "entity": "job", ("/jobs/import", "onConflict"): "update"}
FOUND = "identified the following injection point"
TODAY = datetime.datetime.now(datetime.timezone.utc)
VALUES |= {"from": (TODAY - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
           "to": (TODAY + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")}
# What is not tried, and why not. Everything else that takes anything is.
OWN_TIME = "would end the session, or what others are tried with"
SAME_ID = "takes the number that GET takes at this address, read by the same code, and changes what others are tried with"
CALLS = "makes calls; its numbers are read before anything else"
LEFT_OUT = {
    "post /auth/logout": OWN_TIME, "post /auth/change-password": OWN_TIME, "delete /auth/sessions/{id}": OWN_TIME,
    "delete /auth/tokens/{id}": OWN_TIME, "delete /users/{id}": OWN_TIME, "delete /categories/{id}": OWN_TIME,
    "delete /history": OWN_TIME, "delete /secrets/{name}": OWN_TIME, "delete /jobs/{id}": OWN_TIME,
    "get /history/stream": "waits; its filters are those of /history, and its statement has no text in it",
    "post /jobs/{id}/pause": SAME_ID, "post /jobs/{id}/resume": SAME_ID, "post /jobs/{id}/duplicate": SAME_ID,
    "post /jobs/{id}/signing-key": SAME_ID, "delete /jobs/{id}/signing-key": SAME_ID,
    "post /jobs/{id}/execute": CALLS, "post /history/{id}/replay": CALLS,
    "get /dashboard/stats": "takes two times alone, as /dashboard/timeline does",
    "get /jobs/{id}/stats": "takes two times alone, as /dashboard/timeline does",
}


def sqlmap(work, url, *more):
    """Returns what sqlmap found at the address, or None."""
    home = tempfile.mkdtemp(dir=work)
    done = subprocess.run([os.environ["SQLMAP"], "-u", url, "--output-dir", home, *OPTIONS, *more],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300)
    shutil.rmtree(home)
    broken = re.findall(r"\b5\d\d \([A-Z][^)]*\) - \d+ times", done.stdout)
    if broken:  # a text that breaks a statement is half a way in
        return f"answers {broken}"
    if FOUND in done.stdout:
        return done.stdout[done.stdout.index(FOUND):]
    # It ends with 0 whatever it found, so what it did is read from what it says.
    if "tested parameters do not appear to be injectable" not in done.stdout:
        sys.exit(f"sqlmap did not try {url}:\n{done.stdout}\n{done.stderr}")
    return None


class Open(http.server.BaseHTTPRequestHandler):
    """Answers with whatever its query or body, put together carelessly, selects."""

    def do_GET(self):
        self.select(urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query).get("id", [""])[0])

    def do_POST(self):
        try:
            wanted = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["things"][0]["id"]
        except ValueError:
            wanted = ""
        self.select(wanted)

    def select(self, wanted):
        with sqlite3.connect(":memory:") as db:
            db.execute("CREATE TABLE t (id TEXT, name TEXT)")
            db.execute("INSERT INTO t VALUES ('1', 'a thing that is there')")
            try:
                rows = db.execute("SELECT name FROM t WHERE id = '" + wanted + "'").fetchall()
            except sqlite3.Error:
                rows = []
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"<html>{rows}</html>".encode())

    def log_message(self, *_):
        pass


def check_that_it_finds(work):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Open)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/item"
    if not sqlmap(work, address + "?id=1"):
        sys.exit("sqlmap does not find what is open on purpose")
    body = marked({"things": [{"id": "1"}]})
    if not sqlmap(work, address, "--method", "POST", "--data", json.dumps(body), "--headers", "Content-Type: application/json"):
        sys.exit("sqlmap does not find what is open on purpose in a body")
    server.shutdown()
    print("sqlmap finds what is open on purpose")


def call(method, path, token=None, body=None):
    request = urllib.request.Request(os.environ["API_URL"] + path, method=method,
                                     data=None if body is None else json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", "Bearer " + token)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def marked(value, name=""):
    """Returns JSON with a * behind each text to try."""
    if isinstance(value, dict):
        return {k: marked(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [marked(v, name) for v in value]
    # Not passwords, which cost a hash each.
    if isinstance(value, str) and name not in ("password", "newPassword", "currentPassword"):
        return value + "*"
    return value


def targets(doc, ids):
    """Yields (operation, method, address, JSON body or None) with a * at each place to try."""
    for path, methods in sorted(doc["paths"].items()):
        first = path.split("/")[1]
        for method, op in sorted(methods.items()):
            name = f"{method} {path}"
            example = op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
            body = marked(BODIES(ids).get(name) or example) if example is not None else None
            if body == example:
                body = None  # no text in it
            takes = [p for p in op.get("parameters", []) if p["in"] in ("query", "path")]
            if name in LEFT_OUT or not takes and body is None:
                continue
            pairs = []
            for p in takes:
                # What was answered before is bound to its filters; a ticket is a token.
                if p["in"] == "path" or p["name"] in ("cursor", "ticket"):
                    continue
                schema = p["schema"]
                value = VALUES.get((path, p["name"])) or ids.get(p["name"]) or VALUES.get(p["name"]) or (
                    schema.get("enum") or schema.get("examples") or [schema.get("default", 1)])[0]
                pairs.append(f"{p['name']}={urllib.parse.quote(str(value).lower() if value in (True, False) else str(value))}*")
            # The path's own place is tried where there is nothing else, by a read.
            star = "*" if method == "get" and not pairs else ""
            address = re.sub(r"\{\w+\}", str(ids.get(first, 1)) + star, path)
            if pairs:
                address += "?" + "&".join(pairs)
            if "*" in address or body is not None:
                yield name, method, address, body


def BODIES(ids):
    """Bodies that do something, where the document's examples would not. A * in
    a pattern would be taken for a place to try."""
    job = {"name": "Under attack", "description": "What sqlmap looks at", "cronPattern": "0 5 1 1 MON", "categoryId": ids["categoryId"],
           "url": "http://example.invalid/?a=b", "headers": {"X-Text": "text"}, "body": {"a": ["text"]}, "status": "inactive"}
    imported = {k: v for k, v in job.items() if k != "categoryId"} | {"categoryName": ids["categoryName"]}
    return {"post /jobs": job, "put /jobs/{id}": job, "patch /jobs/{id}": {k: job[k] for k in ("description", "url", "headers")},
            "post /jobs/import": {"jobs": [imported]}, "post /jobs/bulk": {"action": "pause", "ids": [ids["jobs"]]},
            "post /schedules/preview": {"cronPattern": "30 9 1 1 MON", "timezone": "UTC", "from": VALUES["from"]},
            "put /secrets/{name}": {"value": "text", "allowedHosts": ["example.com"]}}


def check_that_all_are_tried(doc, tried):
    """Every operation that takes anything is tried or left out by name."""
    takes = {f"{method} {path}" for path, methods in doc["paths"].items() for method, op in methods.items()
             if op.get("parameters") and any(p["in"] in ("query", "path") for p in op["parameters"]) or
             op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")}
    if missing := takes - tried - LEFT_OUT.keys():
        sys.exit(f"nothing is tried at {sorted(missing)}")
    if strange := LEFT_OUT.keys() - {f"{method} {path}" for path, methods in doc["paths"].items() for method in methods}:
        sys.exit(f"left out, and not there: {sorted(strange)}")


def main():
    work = tempfile.mkdtemp()
    try:
        check_that_it_finds(work)
        signed_in = call("POST", "/auth/login", body={"email": os.environ["ADMIN_EMAIL"], "password": os.environ["ADMIN_PASSWORD"]})
        token = signed_in["data"]["accessToken"]
        categories = call("GET", "/categories", token)["data"][0]
        category = categories["id"]
        job = call("POST", "/jobs", token, {
            "name": "Under attack", "description": "What sqlmap looks at", "cronPattern": "0 5 1 1 *",
            "categoryId": category, "url": "http://example.invalid/", "retryAttempts": 0})["data"]["id"]
        call("POST", f"/jobs/{job}/execute", token)
        call("PUT", "/secrets/ATTACKED", token, {"value": "text", "allowedHosts": ["example.com"]})
        ids = {"secrets": "ATTACKED", "categoryName": categories["name"], "jobs": job, "jobId": job, "categoryId": category, "entityId": job, "userId": signed_in["data"]["user"]["id"], "categories": category, "users": signed_in["data"]["user"]["id"]}
        doc = call("GET", "/api/docs-json")

        def attack(target):
            _, method, path, body = target
            more = ["--method", method.upper(), "--headers", "Authorization: Bearer " + token, "--dbms", "mysql"]
            if body is not None:
                more += ["--data", json.dumps(body), "--headers", f"Authorization: Bearer {token}\nContent-Type: application/json"]
            # What tells true from false: every answer bears its own time.
            listed = method == "get" and "?" in path and re.match(r"/(jobs|users|categories|history|audit)\?", path)
            more += ["--regexp", '"total":[1-9]'] if listed else ["--code", "200"]
            return target, sqlmap(work, os.environ["API_URL"] + path, *more)

        found = 0
        all_targets = list(targets(doc, ids))
        check_that_all_are_tried(doc, {name for name, *_ in all_targets})
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (_, method, path, _), hole in pool.map(attack, all_targets):
                if hole:
                    found += 1
                    print(f"{method.upper()} {path}: {hole}", file=sys.stderr)
        if found:
            sys.exit(f"{found} of {len(all_targets)} addresses are open to SQL")
        print(f"sqlmap finds nothing at {len(all_targets)} addresses")
    finally:
        shutil.rmtree(work)


main()
