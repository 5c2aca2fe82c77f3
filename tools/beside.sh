#!/usr/bin/env bash
# beside.sh COMMAND OTHER: both at once, where COMMAND gets what OTHER leaves of the cores, if Linux lets this user say
# so; else one after the other. What COMMAND printed comes when both have ended; that it failed is said at once. Fails if
# either did.
set -Eeuo pipefail

WEIGHT_PERCENT=10 # of that of any other session: some, since who waits for an answer gives up

main() {
  local status=0
  if ! GROUP=$(make_group 2>/dev/null); then
    bash -c "$1" || status=$?
    bash -c "$2" || status=$?
    exit "$status"
  fi
  OUTPUT=$(mktemp)
  trap clean EXIT
  trap 'exit 143' TERM INT HUP
  in_group "$1" &
  bash -c "$2" || status=$?
  wait $! || status=$?
  cat "$OUTPUT"
  exit "$status"
}

in_group() {
  local status=0
  (echo "$BASHPID" >"$GROUP/cgroup.procs" && exec bash -c "$1") >"$OUTPUT" 2>&1 || status=$?
  ((status == 0)) || echo "beside.sh: '$1' ended with status $status; what it printed comes at the end" >&2
  return "$status"
}

# Not `nice`, which counts within a session only. Names the folder of a control group, of version 1 or 2.
make_group() {
  local groups=/sys/fs/cgroup file=cpu.weight weight=$WEIGHT_PERCENT
  if [[ -d $groups/cpu ]]; then
    groups+=/cpu file=cpu.shares weight=$((WEIGHT_PERCENT * 1024 / 100))
  else
    echo +cpu >$groups/cgroup.subtree_control || return
  fi
  mkdir "$groups/spark-cluster-$$" && echo "$weight" >"$groups/spark-cluster-$$/$file" && echo "$groups/spark-cluster-$$"
}

# shellcheck disable=SC2329 # by the trap
clean() {
  rm -f "$OUTPUT"
  for _ in {1..20}; do
    xargs --no-run-if-empty kill -KILL <"$GROUP/cgroup.procs" 2>/dev/null || true
    ! rmdir "$GROUP" 2>/dev/null || return 0
    sleep 0.1
  done
}

main "$@"
