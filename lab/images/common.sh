#!/usr/bin/env bash
# What every image has: the parts of a cloud image, and trust in the lab's certificate authority.
#
# Runs inside the image under construction; /files holds this folder and ca.pem.
set -Eeuo pipefail

# What Debian's own cloud image and Amazon Linux 2023 both have and a minimal Debian has not.
readonly PACKAGES=(
  systemd systemd-sysv libpam-systemd dbus udev kmod procps iproute2 iputils-ping netbase hostname tzdata less
  cloud-init python3 sudo openssh-server openssh-client
  curl ca-certificates xz-utils
)

main() {
  install_packages
  trust_lab
  ask_metadata_service_only
  configure_network
  forget_identity
}

install_packages() {
  mkdir -p /usr/share/man/man1 # Minimal images leave it out, and Java's packages fail without it.
  apt-get update
  apt-get install -y --no-install-recommends "${PACKAGES[@]}"
  apt-get clean
}

trust_lab() {
  cp /files/ca.pem /usr/local/share/ca-certificates/spark-cluster-lab.crt
  update-ca-certificates
  # botocore brings a list of authorities of its own, which this one is not on.
  local botocore=/usr/lib/python3/dist-packages/botocore
  mkdir -p "$botocore"
  ln -s /etc/ssl/certs/ca-certificates.crt "$botocore/cacert.pem"
  echo "path-exclude=$botocore/cacert.pem" >/etc/dpkg/dpkg.cfg.d/lab
}

# Two lines of cloud-init's EC2 source stand in the way of a container:
# - It knows EC2 by an id that the hypervisor gives, and only then asks for a session token. That id cannot be put into
#   /sys, so it is read from /etc.
# - Before the network is up it asks for an address by DHCP, which the lab has not, and waits a minute. Without that try
#   it takes the other way that it has, after the network is up.
ask_metadata_service_only() {
  local source=/usr/lib/python3/dist-packages/cloudinit/sources/DataSourceEc2.py
  grep -q '"/sys/hypervisor/uuid"' "$source"
  grep -q '(DataSourceEc2Local, (sources.DEP_FILESYSTEM,)),' "$source"
  sed -i -e 's|"/sys/hypervisor/uuid"|"/etc/hypervisor-uuid"|' -e '/(DataSourceEc2Local, /d' "$source"
  echo ec200000-0000-0000-0000-000000000000 >/etc/hypervisor-uuid
  cat >/etc/cloud/cloud.cfg.d/90_lab.cfg <<'YAML'
datasource_list: [Ec2]
network: {config: disabled}
locale: false # The image has none but C.
YAML
}

# The host's own address is written into it when it is made.
configure_network() {
  printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >/etc/hosts
  systemctl enable systemd-networkd systemd-networkd-wait-online
}

forget_identity() {
  : >/etc/machine-id
  rm -f /var/lib/dbus/machine-id /etc/ssh/ssh_host_*
}

main "$@"
