#!/usr/bin/env bash
# Debian 12 as its cloud image has it, with a package repository inside that holds what nodes install.
#
# Runs inside the image under construction, over common.sh's layer. The index of the repository is written afterwards.
set -Eeuo pipefail

readonly REPOSITORY=/usr/share/lab-packages

main() {
  mkdir -p "$REPOSITORY"
  apt-get update
  mapfile -t packages </files/debian12.packages
  apt-get install -y --download-only --no-install-recommends "${packages[@]}"
  mv /var/cache/apt/archives/*.deb "$REPOSITORY"
  apt-get clean
  # As in a cloud image, the lists are not there: a node has to fetch them.
  rm -rf /var/lib/apt/lists/* /etc/apt/sources.list /etc/apt/sources.list.d/*
  echo "deb [trusted=yes] file:$REPOSITORY ./" >/etc/apt/sources.list.d/lab.list
  put_before_java
}

# The package, once a node installs it, puts its own beside it.
put_before_java() {
  local java
  java=/usr/lib/jvm/java-17-openjdk-$(dpkg --print-architecture)/bin/java
  dpkg-divert --local --rename --divert "$java.distrib" --add "$java"
  install -D /files/java "$java"
}

main "$@"
