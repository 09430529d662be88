#!/usr/bin/env bash
# Installs the SAM CLI and the linter (infra/requirements.txt) into a virtual
# environment in a cache directory, made anew when the list changes, and prints
# where. TEMPLATE_TOOLS names another place for it. Needs python3, 3.11 or later.
set -euo pipefail
cd "$(dirname "$0")"

tools=${TEMPLATE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/cron-jobs/template-tools}
mkdir -p "$(dirname "$tools")"
# Two at once would install over each other.
exec 9>"$tools.lock"
if command -v flock >/dev/null; then
  flock --timeout 600 9 || { echo "template-tools.sh: another one has installed into $tools for ten minutes" >&2; exit 1; }
fi
if ! cmp -s requirements.txt "$tools/requirements.txt"; then
  echo "installing the template tools into $tools" >&2
  python3 -m venv --clear "$tools"
  "$tools/bin/pip" install --quiet --disable-pip-version-check -r requirements.txt >&2
  # Last, so that an installation that was cut short is not taken for a whole one.
  cp requirements.txt "$tools/requirements.txt"
fi
echo "$tools"
