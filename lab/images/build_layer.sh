#!/usr/bin/env bash
# Run a script in a chroot-like container over an image, and keep what it changes as a layer of its own.
#
# usage: build_layer.sh LAYER LOWER FILES SCRIPT
#   LAYER   folder that receives the changes; must not exist
#   LOWER   overlayfs's list of the layers below, uppermost first
#   FILES   folder that the script finds as /files
#   SCRIPT  name of the script in /files
#
# The container has this machine's network. To be called in a mount namespace of its own: the mounts end with it.
set -Eeuo pipefail

main() {
  local layer=$1 lower=$2 files=$3 script=$4
  local root=$layer.root work=$layer.work
  mkdir "$layer" "$root" "$work"
  mount -t overlay overlay -o "lowerdir=$lower,upperdir=$layer,workdir=$work" "$root"
  # systemd-nspawn mounts things there with a propagation that only a file system of their own allows.
  mkdir -p /run/systemd/nspawn
  mount -t tmpfs tmpfs /run/systemd/nspawn
  systemd-nspawn --quiet --directory="$root" --register=no --keep-unit --link-journal=no --resolv-conf=bind-host \
    --console=pipe --bind-ro="$files:/files" --setenv=DEBIAN_FRONTEND=noninteractive /bin/bash "/files/$script"
  umount "$root"
  rm -rf "$root" "$work"
}

main "$@"
