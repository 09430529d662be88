#!/usr/bin/env bash
# Runs a command beside a Docker daemon of its own, in which `sam local` finds
# the image that it wants, although no registry is asked: docker.sh command…
#
# Debian's packages of Docker and of qemu are unpacked into a cache directory;
# nothing is installed. The daemon has its own data, socket and pid file, leaves
# the firewall alone (containers only reach this machine), and is undone
# afterwards with its bridge and the emulation of arm64. Needs root on a Debian
# and, in SAM_SITE, the Python packages of infra/requirements.txt.
#
# The command finds DOCKER_HOST, SAM_HOST (this machine, as containers see it)
# and SAM_ARM64 (yes where programs for arm64 run here).
set -euo pipefail
shopt -s nullglob
source "$(dirname "${BASH_SOURCE[0]}")/within.sh"

bridge=172.31.251.1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/cron-jobs/docker
packages=(docker.io containerd runc tini qemu-user-static)

if [[ ! -e $cache/complete ]]; then
  rm -rf "$cache"
  mkdir -p "$cache/debs" "$cache/root"
  within 180 "the lists of Debian's packages" apt-get -qq update
  (cd "$cache/debs" && within 300 "Debian's packages ${packages[*]}" apt-get -qq -o APT::Sandbox::User=root download "${packages[@]}")
  for package in "$cache"/debs/*.deb; do dpkg-deb --extract "$package" "$cache/root"; done
  rm -rf "$cache/debs"
  touch "$cache/complete"
fi
export PATH=$cache/root/usr/sbin:$cache/root/usr/bin:$PATH

# remove_bridge leaves that of another daemon, which bears another address.
remove_bridge() {
  local found
  found=$(ip -o -4 addr show docker0 2>/dev/null) || return 0
  if [[ $found == *" $bridge/"* ]]; then ip link delete docker0 || true; fi
}

work=$(mktemp -d)
emulated=
mounted=
binfmt=/proc/sys/fs/binfmt_misc
finish() {
  local status=$? pid try
  trap - EXIT
  if pid=$(cat "$work/pid" 2>/dev/null); then
    timeout 10 docker ps -aq 2>/dev/null | xargs -r timeout 30 docker rm -f >/dev/null 2>&1 || true
    kill "$pid" 2>/dev/null || true
    for ((try = 0; try < 100; try++)); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    remove_bridge
  fi
  [[ -z $emulated ]] || echo -1 >"$binfmt/cron-jobs-arm64" || true
  [[ -z $mounted ]] || umount "$binfmt" || true
  rm -rf "$work" || true
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

# Two at once would share a bridge.
exec 9>"$cache.lock"
if ! flock --nonblock 9; then
  echo 'docker.sh: another one runs on this machine; waiting for its end'
  within 600 'the other docker.sh' flock 9
fi
remove_bridge # of a run that was killed
if ip -o addr show docker0 >/dev/null 2>&1; then
  echo 'docker.sh: a docker0 is here already: stop that daemon, or use it yourself' >&2
  exit 1
fi
export DOCKER_HOST=unix://$work/socket
dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/pid" --host "$DOCKER_HOST" \
  --bip "$bridge/24" --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false \
  >"$work/log" 2>&1 </dev/null 9>&- &
daemon=$!
for ((try = 0; ; try++)); do
  timeout 5 docker version >/dev/null 2>&1 && break
  if ((try == 150)) || ! kill -0 "$daemon" 2>/dev/null; then
    tail -n 30 "$work/log" >&2
    echo '!!! docker.sh: NO DOCKER DAEMON STARTS ON THIS MACHINE (its last words are above)' >&2
    exit 1
  fi
  sleep 0.2
done

# Where the kernel can, arm64 runs by emulation.
SAM_ARM64=yes
if [[ $(uname -m) != aarch64 ]]; then
  if [[ ! -e $binfmt/register ]]; then
    if mount -t binfmt_misc binfmt_misc "$binfmt" 2>/dev/null; then mounted=yes; fi
  fi
  if ! grep -qs 'magic 7f454c460201010000000000000000000200b7' "$binfmt"/*; then
    if printf '%s' ':cron-jobs-arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$cache/root/usr/bin/qemu-aarch64-static:F" >"$binfmt/register" 2>/dev/null; then
      emulated=yes
    else
      echo '!!! docker.sh: this kernel lets nobody register an emulator of arm64' >&2
      SAM_ARM64=no
    fi
  fi
fi
export SAM_ARM64 SAM_HOST=$bridge

# What SAM makes of a base image that it would pull: the emulator of the runtime
# interface that it carries, and the directories that a function expects.
architecture=$(uname -m)
architecture=${architecture/aarch64/arm64}
tree=$work/image
mkdir -p "$tree"/{var/rapid,var/task,var/runtime,opt,tmp,etc/ssl/certs}
chmod 1777 "$tree/tmp"
cp "$SAM_SITE/samcli/local/rapid/aws-lambda-rie-$architecture" "$tree/var/rapid/aws-lambda-rie"
cp "$SAM_SITE/certifi/cacert.pem" "$tree/etc/ssl/certs/ca-certificates.crt"
tar -C "$tree" -c . | within 60 'docker import' docker import --change 'WORKDIR /var/task' - \
  "public.ecr.aws/lambda/provided:al2023-rapid-$architecture" >/dev/null

"$@" 9>&-
