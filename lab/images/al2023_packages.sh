#!/usr/bin/env bash
# What a node installs on Amazon Linux 2023, already there.
#
# Runs inside the image under construction, over al2023.sh's layer.
set -Eeuo pipefail

dnf install -y java-17-amazon-corretto-headless python3-boto3 python3.11 nginx
dnf clean all
