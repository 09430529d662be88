"""Runs sqlmap against every parameter that the OpenAPI document at API_URL names.

Texts and numbers of queries and paths, and of JSON bodies as their examples
have them, are tried with boolean and error-based techniques. A server that is
open on purpose is tried first, with the same options: were it not found to be
open, the rest would say nothing.
"""
import concurrent.futures
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
          "action": "job.create", "entity": "job"}
FOUND = "identified the following injection point"
# Addresses whose requests end the session, or stop what others are tried with.
LEFT_OUT = {"/auth/logout", "/auth/change-password", "/history/stream"}


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
    """Answers with whatever its query, put together carelessly, selects."""

    def do_GET(self):
        wanted = urllib.parse.parse_qs(urllib.parse.urlparse(self.path).query).get("id", [""])[0]
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
    if not sqlmap(work, f"http://127.0.0.1:{server.server_port}/item?id=1"):
        sys.exit("sqlmap does not find what is open on purpose")
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


def targets(doc, ids):
    """Yields (method, address, JSON body or None) with a * at each place to try."""
    for path, methods in sorted(doc["paths"].items()):
        if path in LEFT_OUT or path.startswith("/health"):
            continue
        first = path.split("/")[1]
        known = re.sub(r"\{\w+\}", str(ids.get(first, 1)), path)
        for method, op in sorted(methods.items()):
            query = [p for p in op.get("parameters", []) if p["in"] == "query"]
            if method == "get" and query:
                pairs = []
                for p in query:
                    schema = p["schema"]
                    value = VALUES.get((known, p["name"])) or ids.get(p["name"]) or VALUES.get(p["name"]) or (
                        schema.get("enum") or schema.get("examples") or [schema.get("default", 1)])[0]
                    if p["name"] not in ("cursor", "from", "to", "ticket"):
                        pairs.append(f"{p['name']}={urllib.parse.quote(str(value))}*")
                if pairs:
                    yield method, known + "?" + "&".join(pairs), None
            elif method == "get" and "{" in path:
                yield method, re.sub(r"(\{\w+\})", str(ids.get(first, 1)) + "*", path), None
            elif method in ("post", "put", "patch") and first in ("auth", "categories", "users", "schedules"):
                example = op.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
                if isinstance(example, dict):
                    body = {k: v + "*" if isinstance(v, str) and k not in ("password", "newPassword", "currentPassword") else v
                            for k, v in example.items()}
                    if any(isinstance(v, str) and v.endswith("*") for v in body.values()):
                        yield method, known, body


def main():
    work = tempfile.mkdtemp()
    try:
        check_that_it_finds(work)
        signed_in = call("POST", "/auth/login", body={"email": os.environ["ADMIN_EMAIL"], "password": os.environ["ADMIN_PASSWORD"]})
        token = signed_in["data"]["accessToken"]
        category = call("GET", "/categories", token)["data"][0]["id"]
        job = call("POST", "/jobs", token, {
            "name": "Under attack", "description": "What sqlmap looks at", "cronPattern": "0 5 1 1 *",
            "categoryId": category, "url": "http://example.invalid/", "retryAttempts": 0})["data"]["id"]
        call("POST", f"/jobs/{job}/execute", token)
        ids = {"jobs": job, "jobId": job, "categoryId": category, "entityId": job, "userId": signed_in["data"]["user"]["id"], "categories": category, "users": signed_in["data"]["user"]["id"]}
        doc = call("GET", "/api/docs-json")

        def attack(target):
            method, path, body = target
            more = ["--method", method.upper(), "--headers", "Authorization: Bearer " + token, "--dbms", "mysql"]
            if body is not None:
                more += ["--data", json.dumps(body), "--headers", f"Authorization: Bearer {token}\nContent-Type: application/json"]
            # What tells true from false: every answer bears its own time.
            listed = method == "get" and "?" in path and re.match(r"/(jobs|users|categories|history|audit)\?", path)
            more += ["--regexp", '"total":[1-9]'] if listed else ["--code", "200"]
            return target, sqlmap(work, os.environ["API_URL"] + path, *more)

        found = 0
        all_targets = list(targets(doc, ids))
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            for (method, path, _), hole in pool.map(attack, all_targets):
                if hole:
                    found += 1
                    print(f"{method.upper()} {path}: {hole}", file=sys.stderr)
        if len(all_targets) < 20:
            sys.exit(f"only {len(all_targets)} addresses: the document was not read")
        if found:
            sys.exit(f"{found} of {len(all_targets)} addresses are open to SQL")
        print(f"sqlmap finds nothing at {len(all_targets)} addresses")
    finally:
        shutil.rmtree(work)


main()
