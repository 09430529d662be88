#!/usr/bin/env bash
# Looks for known vulnerabilities in what the code calls: by the database that
# govulncheck asks of itself or, where that cannot be reached, by the reports that
# the module golang.org/x/vulndb holds, which come by the module proxy.
#
# Exit codes: 0 nothing found; 3 found, but in the standard library alone, so that
# a newer Go mends it; 4 there was nothing to look in; else found, or failed.
set -uo pipefail
cd "$(dirname "$0")/../.."

check() { go tool -modfile=tools/go.mod govulncheck "$@" ./... 2>&1; }

out=$(check)
status=$?
if ((status)) && grep -qE 'fetching vulnerabilities:|vuln\.go\.dev.*(dial|lookup|timeout|refused|Forbidden|status)' <<<"$out"; then
    # Outside the modules of this repository, so that none of them comes to name it.
    nowhere=$(mktemp -d)
    trap 'rm -rf "$nowhere"' EXIT
    found=$(cd "$nowhere" && go mod download -json golang.org/x/vulndb@latest 2>/dev/null)
    reports=$(sed -n 's/^[[:space:]]*"Dir": "\(.*\)",$/\1/p' <<<"$found")/data/osv
    version=$(sed -n 's/^[[:space:]]*"Version": "\(.*\)",$/\1/p' <<<"$found")
    if [[ ! -d $reports ]]; then
        printf '%s\n' "$out"
        exit 4
    fi
    echo "The database of vulnerabilities cannot be reached from here; in its place: golang.org/x/vulndb $version"
    out=$(check -db "file://$reports")
    status=$?
fi
printf '%s\n' "$out"
if ((status == 3)) && grep -qE '^Your code is affected by [0-9]+ vulnerabilit(y|ies) from the Go standard library\.' <<<"$out"; then
    mended=$(sed -n 's/^ *Fixed in: .*@\(go[0-9.]*\)$/\1/p' <<<"$out" | sort -uV | tail -n 1)
    echo "!!! $(go env GOVERSION) has known vulnerabilities that this code reaches: build what is deployed with $mended or later"
    exit 3
fi
if ((status == 3)); then exit 1; fi
exit "$status"
