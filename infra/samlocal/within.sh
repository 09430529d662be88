# within SECONDS WHAT COMMAND… runs a command and ends it when it takes longer, and
# says what was waited for. To be sourced. In the foreground, so that whoever
# ends this script's process group ends the command as well.
within() {
  local seconds=$1 what=$2 status=0
  shift 2
  timeout --foreground --kill-after=10 "$seconds" "$@" || status=$?
  if ((status == 124 || status == 137)); then echo "!!! not within $seconds s: $what" >&2; fi
  return "$status"
}
