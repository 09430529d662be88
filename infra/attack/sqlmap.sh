#!/usr/bin/env bash
# Lets sqlmap, in a short form, look for a way into the database through each
# parameter of the system at API_URL, and shows that it would find one. See
# infra/contract/with-system.sh; needs python3 (3.11 or later).
set -euo pipefail
cd "$(dirname "$0")/../.."
. infra/contract/tools.sh
python_tools

SQLMAP=$tools/python/bin/sqlmap "$tools/python/bin/python" infra/attack/sqlmap.py
