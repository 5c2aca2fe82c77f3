#!/usr/bin/env bash
# Boot a host over an image, again whenever it reboots or loses its power, until it powers off.
#
# usage: start_host.sh NAME FOLDER LOWER CGROUP...
#   NAME    the host's name, for its port at the bridge
#   FOLDER  its own files: upper/ holds what it changes of the image
#   LOWER   overlayfs's list of the image's layers
#   CGROUP  the control groups it lives in, one for each hierarchy that systemd uses
#
# To be called inside the enclosure: the mount ends with it.
set -Eeuo pipefail

# systemd-nspawn's exit status when what it ran wants to be started again.
readonly REBOOT=133

main() {
  local name=$1 folder=$2 lower=$3 cgroup status=$REBOOT
  shift 3
  for cgroup; do
    mkdir -p "$cgroup"
    echo 0 >"$cgroup/cgroup.procs"
  done
  mkdir -p "$folder/upper" "$folder/work" "$folder/root"
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$folder/upper,workdir=$folder/work" "$folder/root"
  while [ "$status" = "$REBOOT" ] || [ -e "$folder/power-cut" ]; do
    status=0
    rm -f "$folder/power-cut"
    # With what systemd needs to keep a unit from an address (IPAddressDeny=).
    systemd-nspawn --quiet --boot --directory="$folder/root" --machine="$name" --network-bridge=br0 \
      --register=no --keep-unit --capability=CAP_BPF --system-call-filter=bpf --link-journal=no --resolv-conf=off --timezone=off || status=$?
  done
  return "$status"
}

main "$@"
