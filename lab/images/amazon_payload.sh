#!/usr/bin/env bash
# Install the Debian packages named in /files/payload.packages, so that this layer becomes an RPM's content.
#
# Runs inside a copy of the image under construction, over amazon_tools.sh's layer.
set -Eeuo pipefail

apt-get update
mapfile -t packages </files/payload.packages
apt-get install -y --no-install-recommends "${packages[@]}"
