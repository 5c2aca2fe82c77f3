"""The VPC's name server: private zones and instances' own names as the AWS API holds them, and the hosts the lab plays.

Run as a program inside the enclosure. One dnsmasq knows the list, which is kept current here: a name that is not in it
does not exist, and nothing is forwarded anywhere. Another is the one that hosts ask, and remembers answers: a name for
30 s, and that there is no such name for as long as the SOA of a private zone lets it.
"""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import boto3
from botocore.exceptions import ClientError

from . import faults
from .places import AWS, AWS_DOMAIN, DOWNLOAD_HOSTS, RUN, SERVICES

_LIST = RUN / "names"
_POLL_SECONDS = 2.0
_NAME_SECONDS = 30
_NO_SUCH_NAME_SECONDS = 900
"""https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/SOA-NSrecords.html"""
_KNOWING = ("127.0.0.1", 5353)


class _Account:
    """The names that the AWS API holds."""

    def __init__(self) -> None:
        self._ec2 = boto3.client("ec2")
        self._route53 = boto3.client("route53")
        self._seen: dict[tuple[str, ...], float] = {}
        """When a record, its name and values, was first there as it is, or before this began."""
        self._answered: dict[str, tuple[str, ...]] = {}
        """The values of each name: while a change is pending, those before."""

    def hosts(self) -> str:
        """Return them in the format of `/etc/hosts`."""
        lines = [f"{SERVICES} {host}" for host in DOWNLOAD_HOSTS]
        lines += [f"{instance['PrivateIpAddress']} {instance['PrivateDnsName']}" for instance in self._instances()]
        now, answered = faults.read(), {}
        for zone, record in self._address_records():
            name = record["Name"].rstrip(".")
            values = tuple(value["Value"] for value in record["ResourceRecords"])
            ripe = time.monotonic() - now.record_delay_seconds(zone)
            if self._seen.setdefault((name, *values), time.monotonic()) <= ripe:
                answered[name] = values
            elif name in self._answered:
                answered[name] = self._answered[name]
        self._answered = answered
        lines += [f"{value} {name}" for name, values in answered.items() for value in values]
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

    def _address_records(self) -> list[tuple[str, dict[str, Any]]]:
        """Each with its zone's name."""
        zones = self._route53.get_paginator("list_hosted_zones").paginate()
        records = self._route53.get_paginator("list_resource_record_sets")
        return [
            (zone["Name"], record)
            for page in zones
            for zone in page["HostedZones"]
            for sets in records.paginate(HostedZoneId=zone["Id"])
            for record in sets["ResourceRecordSets"]
            if record["Type"] == "A"
        ]


def main() -> None:
    """Answer until killed."""
    account = _Account()
    _write(account.hosts())
    knowing = f"--listen-address={_KNOWING[0]}", f"--port={_KNOWING[1]}"
    known = ("--no-hosts", f"--addn-hosts={_LIST}", f"--local-ttl={_NAME_SECONDS}", "--local=/#/", "--cache-size=0")
    aws = (f"--address=/{AWS_DOMAIN}/{AWS}", f"--local=/{AWS_DOMAIN}/")  # the names are there, without an IPv6 address
    server = _dnsmasq(*knowing, *known, *aws)
    remembered = ("--cache-size=10000", f"--neg-ttl={_NO_SUCH_NAME_SECONDS}", "--no-hosts")
    _dnsmasq(f"--listen-address={SERVICES}", f"--server={_KNOWING[0]}#{_KNOWING[1]}", *remembered)
    while server.poll() is None:
        time.sleep(_POLL_SECONDS)
        try:
            current = account.hosts()
        except ClientError:  # A zone was deleted between two calls: the next round knows.
            continue
        if current != _LIST.read_text(encoding="utf-8"):
            _write(current)
            server.send_signal(signal.SIGHUP)
    message = f"dnsmasq ended with status {server.returncode}"
    raise RuntimeError(message)


def _write(hosts: str) -> None:
    """Never half-written: dnsmasq may still read because of an earlier change, and what it misses is remembered."""
    fresh = _LIST.with_suffix(".new")
    fresh.write_text(hosts, encoding="utf-8")
    fresh.replace(_LIST)


def _dnsmasq(*options: str) -> subprocess.Popen[bytes]:
    common = ("--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--pid-file=", "--bind-interfaces")
    return subprocess.Popen(("dnsmasq", *common, "--no-resolv", *options))


if __name__ == "__main__":
    main()
