# Sourced by the checks of the API's contract. Where their tools live: in a cache
# directory, made anew when the list of them changes. CONTRACT_TOOLS names
# another place.
tools=${CONTRACT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/cron-jobs/contract-tools}

# Neither asks home how it is used, nor whether there is a newer one.
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true NO_UPDATE_NOTIFIER=1
export SCHEMATHESIS_NO_TELEMETRY=1

# node_tools installs what package-lock.json lists into $tools/node.
node_tools() {
  if ! cmp -s infra/contract/package-lock.json "$tools/node/installed.json"; then
    echo "installing the tools of the contract into $tools/node"
    rm -rf "$tools/node"
    mkdir -p "$tools/node"
    cp infra/contract/package.json infra/contract/package-lock.json "$tools/node"
    npm ci --prefix "$tools/node" --ignore-scripts --no-audit --no-fund --loglevel=error
    # Last, so that an installation that was cut short is not taken for a whole one.
    cp infra/contract/package-lock.json "$tools/node/installed.json"
  fi
}

# python_tools installs what requirements.txt lists into $tools/python.
python_tools() {
  if ! cmp -s infra/contract/requirements.txt "$tools/python/installed.txt"; then
    echo "installing the tools of the contract into $tools/python"
    python3 -m venv --clear "$tools/python"
    "$tools/python/bin/pip" install --quiet --disable-pip-version-check -r infra/contract/requirements.txt
    cp infra/contract/requirements.txt "$tools/python/installed.txt"
  fi
}
