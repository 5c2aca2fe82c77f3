#!/usr/bin/env bash
# A stand-in for Amazon Linux 2023: its names and its package manager, with Debian's binaries.
#
# What differs: the kernel is the machine's, no SELinux, no SSM agent, no AWS CLI, cloud-init is Debian's, and the
# system's Python is Debian's 3.11 under the name of 3.9, since there is no other.
#
# Runs inside the image under construction, over amazon_tools.sh's layer; /files/rpms is the RPM repository.
set -Eeuo pipefail

readonly REPOSITORY=/usr/share/lab-packages

main() {
  name_system_python
  add_repository
  name_system
  configure_cloud_init
  link_trust_store
  remove_debian_package_manager
}

# A node that needs Python 3.11 has to install it: nothing answers to that name before. What it installs sees no module
# of the system's Python, and has a folder of its own for modules, as there.
name_system_python() {
  mv /usr/bin/python3.11 /usr/bin/python3.9
  ln -sf python3.9 /usr/bin/python3
  cat >/etc/python3.11/sitecustomize.py <<'PYTHON'
import sys

if sys.executable.endswith("/python3.11"):
    sys.path = [folder for folder in sys.path if not folder.endswith("/dist-packages")]
    sys.path.append("/usr/lib/python3.11/site-packages")
PYTHON
}

add_repository() {
  cp -r /files/rpms "$REPOSITORY"
  mkdir -p /etc/yum.repos.d
  cat >/etc/yum.repos.d/amazonlinux.repo <<REPO
[amazonlinux]
name=Amazon Linux 2023 repository
baseurl=file://$REPOSITORY
gpgcheck=0
REPO
  # The image has these; now dnf knows it.
  mapfile -t packages </files/al2023.installed
  dnf install -y "${packages[@]}"
  dnf clean all
}

name_system() {
  rm -f /etc/os-release /etc/debian_version
  cat >/usr/lib/os-release <<'RELEASE'
NAME="Amazon Linux"
VERSION="2023"
ID="amzn"
ID_LIKE="fedora"
VERSION_ID="2023"
PLATFORM_ID="platform:al2023"
PRETTY_NAME="Amazon Linux 2023 (stand-in)"
RELEASE
  ln -s ../usr/lib/os-release /etc/os-release
  echo "Amazon Linux release 2023 (stand-in)" >/etc/system-release
}

# As Amazon's build of cloud-init: its user, its folders, and its place in the boot, after D-Bus, since it sets the host's
# name through hostnamectl.
configure_cloud_init() {
  cat >/etc/cloud/cloud.cfg.d/91_amazon.cfg <<'YAML'
system_info:
  distro: amazon
  default_user:
    name: ec2-user
    lock_passwd: true
    gecos: EC2 Default User
    groups: [adm, systemd-journal]
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
    shell: /bin/bash
YAML
  mkdir -p /etc/sysconfig /usr/libexec
  ln -s ../lib/cloud-init /usr/libexec/cloud-init
  sed -i -e '/^DefaultDependencies=no$/d' -e '/^Before=sysinit.target$/d' /lib/systemd/system/cloud-init.service
}

link_trust_store() {
  mkdir -p /etc/pki/tls/certs
  ln -s /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt
}

# A node that looks for apt first would find it.
remove_debian_package_manager() {
  rm -rf /usr/bin/apt* /usr/bin/dpkg* /etc/apt /var/lib/apt /lib/systemd/system/apt-daily*
}

main "$@"
