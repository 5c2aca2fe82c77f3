"""Other AMIs, other fleet keys, a slow AWS, and several clusters in one VPC."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.cluster import Cluster, ask_aws, boot_log_on
from lab.lab import connects, requests, run
from lab.places import REGION

if TYPE_CHECKING:
    from pathlib import Path


def public_half(private_key: str, folder: Path) -> str:
    """The public key of a private one."""
    file = folder / "key"
    file.touch(mode=0o600)
    file.write_text(private_key)
    return subprocess.run(["ssh-keygen", "-y", "-f", file], check=True, capture_output=True, text=True).stdout.strip()


def assert_master_reaches_its_worker(cluster: Cluster) -> None:
    """By ssh, as the spark user, without a prompt."""
    (address,) = cluster.workers()
    done = cluster.ssh(address, "hostname -I")
    assert address in done.stdout, done.stderr


@pytest.mark.long
def test_debian_boots_with_the_private_key_of_the_caller(debian: Cluster, private_key: str, tmp_path: Path) -> None:
    assert "ID=debian" in run(debian.master(), "cat", "/etc/os-release").stdout
    assert debian.alive() == set(debian.workers())
    assert (
        debian.in_aws.parameters()["fleet-public-key"]["Value"].split()[:2]
        == public_half(private_key, tmp_path).split()[:2]
    )
    assert_master_reaches_its_worker(debian)


@pytest.mark.long
def test_a_boot_goes_through_the_proxy(debian: Cluster) -> None:
    for address in (debian.master_address(), *debian.workers()):
        hosts = {one["host"] for one in connects() if one["client"] == address}
        assert f"ssm.{REGION}.amazonaws.com" in hosts
        assert any(host.startswith(f"{debian.bucket()}.s3.") for host in hosts)
        assert not [one for one in requests() if one["client"] == address], "it asked a host itself"
    assert "dlcdn.apache.org" in {one["host"] for one in connects() if one["client"] == debian.master_address()}


def test_pre_baked_image_boots_with_the_key_of_an_existing_parameter_and_downloads_nothing(
    baked: Cluster, parameter_key: str, tmp_path: Path
) -> None:
    hosts = [baked.master(), *baked.workers().values()]
    addresses = {baked.master_address(), *baked.workers()}
    assert baked.alive() == set(baked.workers())
    assert not [one for one in requests() if one["client"] in addresses]
    for host in hosts:
        log = boot_log_on(host)
        assert "ready after" in log
        assert "installs" not in log
        assert "trying" not in log
    published = baked.in_aws.parameters()["fleet-public-key"]["Value"]
    assert published.split()[:2] == public_half(parameter_key, tmp_path).split()[:2]
    assert_master_reaches_its_worker(baked)


def test_cluster_without_a_fleet_key_boots_and_has_none(keyless: Cluster) -> None:
    assert keyless.alive() == set(keyless.workers())
    assert set(keyless.in_aws.parameters()) == {"about", "spark-secret"}
    assert run(keyless.master(), "test", "-e", "/home/spark/.ssh/fleet_key").returncode != 0
    (worker,) = keyless.workers().values()
    assert run(worker, "test", "-e", "/home/spark/.ssh/authorized_keys").returncode != 0


def test_boot_ends_well_with_a_wrong_clock_throttled_apis_and_permissions_and_record_a_minute_late(
    keyless: Cluster,
) -> None:
    ours = keyless.refused()
    late = {one["instance"] for one in ours if "not in force yet" in one["message"]}
    skewed = {one["instance"] for one in ours if "time of the request" in one["message"]}
    throttled = [one for one in ours if "Throttling" in one["code"]]
    hosts = [keyless.master(), *keyless.workers().values()]
    assert {host.instance_id for host in hosts} <= late & skewed
    assert len(throttled) > 1
    for host in hosts:
        assert "ready after" in boot_log_on(host)


def test_clusters_in_one_vpc_do_not_see_each_other(demo: Cluster, baked: Cluster, keyless: Cluster) -> None:
    for cluster in (demo, baked, keyless):
        assert cluster.alive() == set(cluster.workers())
        cluster.wait_until_listed(set(cluster.workers()))
    worker = next(iter(demo.workers().values()))
    other = f"aws.client('s3').list_objects_v2(Bucket={baked.bucket()!r})"
    others = "aws.client('ssm').get_parameter(Name='/spark-cluster/baked/spark-secret', WithDecryption=True)"
    assert "AccessDenied" in ask_aws(worker, other)
    assert "AccessDenied" in ask_aws(demo.master(), others)
    (address,) = baked.workers()
    assert "Permission denied" in demo.ssh(address, "true").stderr
