#!/usr/bin/env bash
# The package manager of Amazon Linux 2023, in the generation it has: dnf 4.
#
# Runs inside the image under construction, over common.sh's layer.
set -Eeuo pipefail

apt-get update
apt-get install -y --no-install-recommends dnf rpm
apt-get clean
