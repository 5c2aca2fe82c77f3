#!/usr/bin/env bash
# Spark where a node puts it, already there, with the jars of S3A.
#
# Runs inside the image under construction, over al2023_packages.sh's layer; /files/spark has the release's archive,
# /files/jars the jars.
set -Eeuo pipefail

main() {
  local archive name
  archive=$(echo /files/spark/*.tgz)
  name=${archive##*/}
  mkdir "/opt/${name%-bin-hadoop3.tgz}"
  tar -xzf "$archive" -C "/opt/${name%-bin-hadoop3.tgz}" --strip-components=1 --no-same-owner
  cp -r /files/jars "/opt/${name%-bin-hadoop3.tgz}"
}

main "$@"
