#!/usr/bin/env bash
# Looks for secrets in the tree and in all that was ever committed, and shows
# that it would notice one. Needs Go and git.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -C tools/leaks -o "$work/gitleaks" github.com/zricethezav/gitleaks/v8
scan() { "$work/gitleaks" "$@" --no-banner --no-color --redact --verbose --log-level error --config .gitleaks.toml; }

# Made up here, so that no file holds them.
random() { LC_ALL=C tr -dc "$1" </dev/urandom | head -c "$2" || true; }
mkdir "$work/seeded"
printf 'aws_access_key_id = AKIA%s\n' "$(random A-Z2-7 16)" >"$work/seeded/aws.txt"
printf 'token = "ghp_%s"\n' "$(random A-Za-z0-9 36)" >"$work/seeded/github.txt"
openssl genpkey -algorithm ed25519 >"$work/seeded/key.pem" 2>/dev/null ||
  printf -- '-----BEGIN %s KEY-----\n%s\n%s\n-----END %s KEY-----\n' PRIVATE "$(random A-Za-z0-9 64)" "$(random A-Za-z0-9 64)" PRIVATE >"$work/seeded/key.pem"
found=$(scan dir "$work/seeded" 2>&1 || true)
for file in aws.txt github.txt key.pem; do
  if ! grep -q "$file" <<<"$found"; then
    echo "a secret in $file is not noticed:" >&2
    echo "$found" >&2
    exit 1
  fi
done
echo 'each of 3 seeded secrets is noticed'

scan git .
mkdir "$work/tree"
# What is not committed, too, but for what git ignores.
git ls-files -z --cached --others --exclude-standard | xargs -0 tar -cf - | tar -xf - -C "$work/tree"
(cd "$work/tree" && "$work/gitleaks" dir . --no-banner --no-color --redact --verbose --log-level error --config .gitleaks.toml)
echo 'no secret in the tree or its history'
