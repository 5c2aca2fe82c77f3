"""The VPC's name server: private zones and instances' own names as the AWS API holds them, and the download hosts.

Run as a program inside the enclosure. dnsmasq answers; this keeps its list current. A name that is not in the list does
not exist: nothing is forwarded anywhere.
"""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError

from .places import DOWNLOAD_HOSTS, RUN, SERVICES

_LIST = RUN / "names"
_POLL_SECONDS = 1.0


class _Account:
    """The names that the AWS API holds."""

    def __init__(self) -> None:
        self._ec2 = boto3.client("ec2")
        self._route53 = boto3.client("route53")

    def hosts(self) -> str:
        """Return them in the format of `/etc/hosts`."""
        lines = [f"{SERVICES} {host}" for host in DOWNLOAD_HOSTS]
        lines += [f"{instance['PrivateIpAddress']} {instance['PrivateDnsName']}" for instance in self._instances()]
        for record in self._address_records():
            lines += [f"{value['Value']} {record['Name'].rstrip('.')}" for value in record["ResourceRecords"]]
        return "".join(f"{line}\n" for line in lines)

    def _instances(self) -> list[dict[str, Any]]:
        pages = self._ec2.get_paginator("describe_instances").paginate()
        return [
            instance
            for page in pages
            for reservation in page["Reservations"]
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != "terminated"
        ]

    def _address_records(self) -> list[dict[str, Any]]:
        zones = self._route53.get_paginator("list_hosted_zones").paginate()
        records = self._route53.get_paginator("list_resource_record_sets")
        return [
            record
            for page in zones
            for zone in page["HostedZones"]
            for sets in records.paginate(HostedZoneId=zone["Id"])
            for record in sets["ResourceRecordSets"]
            if record["Type"] == "A"
        ]


def main() -> None:
    """Answer until killed."""
    account = _Account()
    _LIST.write_text(account.hosts(), encoding="utf-8")
    server = subprocess.Popen(
        (
            *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file="),
            *(f"--listen-address={SERVICES}", "--bind-interfaces"),
            *("--no-resolv", "--no-hosts", f"--addn-hosts={_LIST}", "--local=/#/"),
        )
    )
    while server.poll() is None:
        time.sleep(_POLL_SECONDS)
        try:
            current = account.hosts()
        except ClientError:  # A zone was deleted between two calls: the next round knows.
            continue
        if current != _LIST.read_text(encoding="utf-8"):
            _LIST.write_text(current, encoding="utf-8")
            server.send_signal(signal.SIGHUP)
    message = f"dnsmasq ended with status {server.returncode}"
    raise RuntimeError(message)


if __name__ == "__main__":
    main()
