#!/usr/bin/env bash
# Spark where a node puts it, already there.
#
# Runs inside the image under construction, over al2023_packages.sh's layer; /files/spark has the release's archive.
set -Eeuo pipefail

main() {
  local archive name
  archive=$(echo /files/spark/*.tgz)
  name=${archive##*/}
  mkdir "/opt/${name%-bin-hadoop3.tgz}"
  tar -xzf "$archive" -C "/opt/${name%-bin-hadoop3.tgz}" --strip-components=1 --no-same-owner
}

main "$@"
