"""tick.py: what the master knows of its group, from an AWS of moto's."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import re
import runpy
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import drivers
import files
import observation
import pytest
import spark_conf
import spark_state
import tick
import worker_group
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from spark_cluster import checks
from tests.userdata.conftest import client
from tests.userdata.node import LIB, USERDATA

if TYPE_CHECKING:
    from collections.abc import Callable

GROUP = "demo-spark-workers"
IMAGE = "ami-12c6146b"  # any will do


@pytest.fixture
def as_master(settle: Callable[..., None], cloud: None) -> None:
    settle("master")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Every call to AWS from here on, by its name."""
    made: Counter[str] = Counter()
    call = BaseClient._make_api_call  # noqa: SLF001 - what every call goes through

    def count(self: Any, name: str, arguments: Any) -> Any:
        made[name] += 1
        return call(self, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", count)
    return made


def make_group(size: int, types: tuple[str, ...] = ("m6i.xlarge", "m5.xlarge")) -> None:
    ec2 = client("ec2")

    template = ec2.create_launch_template(
        LaunchTemplateName="workers", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": types[0]}
    )["LaunchTemplate"]["LaunchTemplateId"]
    client("autoscaling").create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=2000,
        DesiredCapacity=size,
        VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        MixedInstancesPolicy=mixed(template, types),
    )


def mixed(template: str, types: tuple[str, ...]) -> Any:
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "1"},
            "Overrides": [{"InstanceType": name} for name in types],
        }
    }


def addresses() -> list[str]:
    """The group's, as EC2 has them."""
    instances = worker_group.instances(GROUP).values()
    return [instance["PrivateIpAddress"] for instance in instances if instance["State"]["Name"] == "running"]


def resize(size: int) -> None:
    client("autoscaling").set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=size)


def with_state(monkeypatch: pytest.MonkeyPatch, state: str) -> str:
    """Give the group's first member another lifecycle state; returns its address."""
    group = worker_group.group()
    assert group
    member = group["Instances"][0]
    member["LifecycleState"] = state
    monkeypatch.setattr(worker_group, "group", lambda: group)
    address: str = worker_group.instances(GROUP)[member["InstanceId"]]["PrivateIpAddress"]
    return address


@pytest.fixture
def workers(root: Path, as_master: None) -> Path:
    return root / "opt/spark/conf/workers"


@pytest.fixture
def executor(root: Path, as_master: None) -> Path:
    return root / "etc/spark-cluster/executor.env"


# The list of workers


@pytest.mark.parametrize("size", [0, 1, 250, 1000])
def test_each_worker_in_service_is_listed_by_a_few_calls_however_many_there_are(
    size: int, workers: Path, calls: Counter[str]
) -> None:
    make_group(size)
    calls.clear()
    tick.main()
    assert calls == {"DescribeAutoScalingGroups": 1, "DescribeInstances": 1, "DescribeInstanceTypes": 1}
    listed = workers.read_text().splitlines()
    assert len(listed) == len(set(listed)) == size
    network = ipaddress.ip_network("172.31.0.0/16")  # of moto's default VPC
    assert all(ipaddress.ip_address(address) in network for address in listed)


def test_a_tick_without_news_makes_two_calls(workers: Path, calls: Counter[str]) -> None:
    make_group(3)
    expected = addresses()
    tick.main()
    calls.clear()
    tick.main()
    assert calls == {"DescribeAutoScalingGroups": 1, "DescribeInstances": 1}
    assert set(workers.read_text().splitlines()) == set(expected)


def test_addresses_are_listed_in_their_order(workers: Path) -> None:
    make_group(30)
    tick.main()
    listed = [tuple(int(part) for part in line.split(".")) for line in workers.read_text().splitlines()]
    assert listed == sorted(listed)


def test_an_empty_group_gives_an_empty_file(workers: Path) -> None:
    make_group(0)
    tick.main()
    assert workers.read_text() == ""


def test_a_group_that_terraform_has_not_made_yet_gives_an_empty_file(workers: Path, executor: Path) -> None:
    tick.main()
    assert workers.read_text() == ""
    assert not executor.exists()


def test_a_group_that_shrank_to_nothing_empties_the_file(workers: Path) -> None:
    make_group(2)
    tick.main()
    resize(0)
    tick.main()
    assert workers.read_text() == ""


@pytest.mark.parametrize("state", ["Pending", "Pending:Wait", "Terminating", "Terminating:Wait", "Standby", "Detached"])
def test_only_members_in_service_are_listed(workers: Path, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    make_group(3)
    address = with_state(monkeypatch, state)
    tick.main()
    assert len(workers.read_text().splitlines()) == 2
    assert address not in workers.read_text()


def test_a_member_that_ec2_does_not_know_yet_is_left_for_the_next_time(
    workers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    known = worker_group.instances(GROUP)
    known.popitem()
    monkeypatch.setattr(worker_group, "instances", lambda _: known)
    tick.main()
    assert len(workers.read_text().splitlines()) == 1


def test_instances_of_another_group_are_not_listed(workers: Path) -> None:
    make_group(1)
    ec2 = client("ec2")

    ec2.run_instances(ImageId=IMAGE, MinCount=3, MaxCount=3)
    tick.main()
    assert len(workers.read_text().splitlines()) == 1


def test_the_file_is_written_only_when_it_changes_and_says_so(
    workers: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(2)
    tick.main()
    before = workers.stat()
    assert "tick: 2 workers in service" in capsys.readouterr().err
    tick.main()
    assert workers.stat().st_ino == before.st_ino
    assert workers.stat().st_mtime_ns == before.st_mtime_ns
    assert capsys.readouterr().err == ""
    resize(3)
    tick.main()
    assert "tick: 3 workers in service" in capsys.readouterr().err


def test_the_file_is_changed_in_one_step_and_everyone_may_read_it(
    workers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(2)
    workers.write_text("10.9.9.9\n")
    seen = []
    replace = os.replace

    def look(source: str, target: str) -> None:
        if target == str(workers):
            seen.append((workers.read_text(), len(Path(source).read_text().splitlines())))
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", look)
    tick.main()
    assert seen == [("10.9.9.9\n", 2)]
    assert workers.stat().st_mode & 0o777 == 0o644


def test_the_old_name_of_the_file_is_a_link_to_it(workers: Path) -> None:
    make_group(1)
    for _ in range(2):
        tick.main()
        assert (workers.parent / "slaves").readlink() == Path("workers")
        assert (workers.parent / "slaves").read_text() == workers.read_text()


@pytest.mark.parametrize("call", ["DescribeAutoScalingGroups", "DescribeInstances"])
def test_an_api_error_leaves_the_old_files_and_fails_the_unit_with_one_line(
    root: Path, workers: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    make_group(2)
    tick.main()
    resize(5)
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    real = BaseClient._make_api_call  # noqa: SLF001 - what every call goes through

    def refuse(self: Any, name: str, arguments: Any) -> Any:
        if name == call:
            raise ClientError({"Error": {"Code": "RequestLimitExceeded", "Message": "slow down"}}, name)
        return real(self, name, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(USERDATA / "master" / LIB / "tick.py"), run_name="__main__")
    message = str(ended.value)
    assert re.fullmatch(r"tick: ClientError: .*RequestLimitExceeded.*, the files stay as they are", message)
    assert {path: path.read_bytes() for path in root.rglob("*") if path.is_file()} == before


def test_a_keeper_that_fails_keeps_no_other_from_its_own(workers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_group(2)

    def fails(_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(tick, "KEEPERS", (fails, tick.keep_workers_file))
    with pytest.raises(SystemExit, match=r"^tick: OSError: no space left, in fails$"):
        tick.main()
    assert len(workers.read_text().splitlines()) == 2


# Known hosts


def known_host(root: Path, address: str, age_seconds: float) -> Path:
    file = root / "var/lib/spark-known-hosts" / address
    file.write_text(f"{address} ssh-ed25519 AAAA\n")
    when = dt.datetime.now(dt.UTC).timestamp() - age_seconds
    os.utime(file, (when, when))
    return file


def test_drivers_are_cleaned_up_after_even_if_aws_does_not_answer(
    as_master: None, executor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cleaned = []

    def fail() -> None:
        cleaned.append(1)
        raise OSError("no space left")

    monkeypatch.setattr(drivers, "clean", fail)
    make_group(1)
    with pytest.raises(SystemExit, match=r"^tick: OSError: no space left, in cleaning up after drivers$"):
        tick.main()
    assert executor.exists()
    monkeypatch.setattr(worker_group, "group", lambda: 1 / 0)
    with pytest.raises(SystemExit, match=r"cleaning up after drivers\ntick: ZeroDivisionError"):
        tick.main()
    assert len(cleaned) == 2


def test_the_host_key_of_a_member_is_kept(as_master: None, root: Path) -> None:
    make_group(1)
    file = known_host(root, addresses()[0], -60)
    tick.main()
    assert file.exists()


def test_the_host_key_of_a_member_that_left_is_forgotten(
    as_master: None, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(1)
    file = known_host(root, "10.0.0.200", -60)
    tick.main()
    assert not file.exists()
    assert "tick: forgot the host key of 10.0.0.200" in capsys.readouterr().err


def test_the_host_key_of_an_address_that_a_newer_instance_has_is_forgotten(as_master: None, root: Path) -> None:
    make_group(1)
    file = known_host(root, addresses()[0], 3600)
    tick.main()
    assert not file.exists()


def test_no_host_key_is_forgotten_because_of_an_api_error(
    as_master: None, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = known_host(root, "10.0.0.200", -60)
    monkeypatch.setattr(worker_group, "group", lambda: 1 / 0)
    with pytest.raises(SystemExit, match="ZeroDivisionError"):
        tick.main()
    assert file.exists()


def test_ssh_and_the_tick_mean_the_same_folder_and_the_spark_user_cannot_replace_it() -> None:
    config = (USERDATA / "master/etc/ssh/ssh_config.d/50-spark-cluster.conf").read_text()
    assert f"UserKnownHostsFile {tick.KNOWN_HOSTS}/%h" in config
    assert not tick.KNOWN_HOSTS.startswith(("/home/spark", "/var/lib/spark/"))
    boot = (USERDATA / "common" / LIB / "boot").read_text()
    assert f'"$ROOT{tick.KNOWN_HOSTS}"' in boot


def test_something_odd_among_the_host_keys_does_not_stop_the_rest(root: Path, executor: Path) -> None:
    """The folder is the spark user's, and so is any job."""
    make_group(1)
    (root / "var/lib/spark-known-hosts/folder").mkdir()
    (root / "var/lib/spark-known-hosts/10.0.0.9").symlink_to("nowhere")
    tick.main()
    assert executor.exists()
    assert not (root / "var/lib/spark-known-hosts/10.0.0.9").is_symlink()


# Memory of executors


KERNELS = {
    # Nominal MiB and what kubelet did not find of it (its capacity is MemTotal): Karpenter's own table,
    # pkg/providers/instancetype/zz_generated.memory_overhead.go of aws/karpenter-provider-aws at 33450d8.
    "a1.medium": (2048, 241),
    "c5.large": (4096, 405),
    "c5.xlarge": (8192, 560),
    "c5.4xlarge": (32768, 1710),
    "c5.18xlarge": (147456, 6728),
    "c5n.large": (5376, 457),
    "c6g.medium": (2048, 209),
    "c6i.large": (4096, 273),
    "c7g.medium": (2048, 209),
    "g5.xlarge": (16384, 590),
    "i3en.large": (16384, 699),
    "m5.large": (8192, 559),
    "m5.xlarge": (16384, 868),
    "m5.24xlarge": (393216, 10573),
    "m6a.2xlarge": (32768, 1375),
    "m6g.medium": (4096, 296),
    "m6i.xlarge": (16384, 672),
    "m6i.32xlarge": (524288, 16441),
    "m7a.medium": (4096, 311),
    "r6a.48xlarge": (1572864, 57072),
    "t2.small": (2048, 96),
    "t3.small": (2048, 131),
    "t3.medium": (4096, 253),
    "t4g.small": (2048, 197),
    "vt1.3xlarge": (24576, 2069),
    "x2iezn.2xlarge": (262144, 7119),
}
TOO_SMALL = {"t3.nano": (512, 89), "t3a.nano": (512, 87), "t2.micro": (1024, 79), "t3.micro": (1024, 104)}


def offered(nominal_mib: int, hidden_mib: int) -> int:
    """What a worker gives to executors whose kernel says so in /proc/meminfo."""
    return spark_conf.worker_memory_mib(
        spark_conf.total_memory_mib(f"MemTotal: {(nominal_mib - hidden_mib) * 1024} kB")
    )


@pytest.mark.parametrize("name", KERNELS)
def test_an_executor_fits_a_worker_of_a_type_that_was_not_seen_yet(name: str) -> None:
    nominal, hidden = KERNELS[name]
    memory = tick.executor_memory_mib([tick.expected_offer(name, 4, nominal)], 0)
    assert spark_conf.LEAST_EXECUTOR_MIB <= memory <= offered(nominal, hidden)
    assert memory >= 0.8 * offered(nominal, hidden)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("cores", [1, 2, 4])
def test_executors_of_fewer_cores_fit_it_too(name: str, cores: int) -> None:
    nominal, hidden = KERNELS[name]
    worker = offered(nominal, hidden)
    for memory_mib in (tick.expected_offer(name, 4, nominal).memory_mib, worker):
        executor = tick.executor_memory_mib([observation.Offer(name, 4, memory_mib)], cores)
        assert worker // executor >= 1
        assert executor == spark_conf.LEAST_EXECUTOR_MIB or executor * (4 // cores) <= worker


@pytest.mark.parametrize("name", TOO_SMALL)
def test_types_that_are_refused_have_no_room_for_an_executor(name: str) -> None:
    assert offered(*TOO_SMALL[name]) < spark_conf.LEAST_EXECUTOR_MIB
    with pytest.raises(ValueError, match="must be an EC2 instance type with 2 GiB of memory or more"):
        checks.instance_type("workers.instance_types[0]", name)


@pytest.mark.parametrize(("cores", "share"), [(0, 1), (1, 0.25), (2, 0.5), (4, 1), (8, 1)])
def test_an_executor_of_fewer_cores_gets_its_share(cores: int, share: float) -> None:
    assert tick.executor_memory_mib([observation.Offer("a", 4, 13000)], cores) == int(13000 * share)


def test_the_share_is_of_the_worker_that_leaves_least() -> None:
    offers = [observation.Offer("wide", 8, 13000), observation.Offer("narrow", 4, 13001)]
    assert tick.executor_memory_mib(offers, 2) == int(13000 / 4)


def expected(nominal_mib: int, share: float = 1) -> str:
    return f"SPARK_EXECUTOR_MEMORY={int(tick.expected_offer('any', 4, nominal_mib).memory_mib * share)}m\n"


def alive(monkeypatch: pytest.MonkeyPatch, *workers: tuple[str, int, int]) -> None:
    """The master lists these as alive: address, cores, MiB."""
    listed = [{"host": host, "state": "ALIVE", "cores": cores, "memory": mib} for host, cores, mib in workers]
    monkeypatch.setattr(spark_state, "read", lambda _: {"workers": listed})


def test_spark_gets_the_memory_that_is_expected_of_the_smallest_type_of_the_group(executor: Path) -> None:
    make_group(1, ("m6i.xlarge", "m5.2xlarge"))
    tick.main()
    assert executor.read_text() == expected(16384)
    assert executor.stat().st_mode & 0o777 == 0o644


def test_what_workers_offer_takes_the_place_of_what_is_expected_of_their_type(
    executor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(1, ("m6i.xlarge",))
    alive(monkeypatch, (addresses()[0], 4, 13355))
    tick.main()
    assert executor.read_text() == "SPARK_EXECUTOR_MEMORY=13355m\n"
    alive(monkeypatch, (addresses()[0], 4, 11000))
    tick.main()
    assert executor.read_text() == "SPARK_EXECUTOR_MEMORY=11000m\n", "even if it is less"


def test_a_type_that_no_worker_has_yet_is_heeded_beside_what_workers_offer(
    executor: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_group(1, ("m6i.xlarge", "c5.xlarge"))
    alive(monkeypatch, (addresses()[0], 4, 13355))
    tick.main()
    assert executor.read_text() == expected(8192)


def test_a_stranger_s_worker_shapes_no_executor(executor: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_group(1, ("m6i.xlarge",))
    alive(monkeypatch, ("10.9.9.9", 1, 600))
    tick.main()
    assert executor.read_text() == expected(16384)


def test_the_caller_s_cores_of_an_executor_are_heeded(executor: Path, settle: Callable[..., None]) -> None:
    settle("master", executor_cores=2)
    make_group(1)
    tick.main()
    assert executor.read_text() == expected(16384, 0.5)


def test_other_types_are_asked_for_once(executor: Path, calls: Counter[str]) -> None:
    make_group(1, ("m6i.xlarge",))
    tick.main()
    template = client("ec2").describe_launch_templates()["LaunchTemplates"][0]["LaunchTemplateId"]
    client("autoscaling").update_auto_scaling_group(
        AutoScalingGroupName=GROUP, MixedInstancesPolicy=mixed(template, ("m6i.2xlarge",))
    )
    calls.clear()
    for _ in range(3):
        tick.main()
    assert calls["DescribeInstanceTypes"] == 1
    assert executor.read_text() == expected(32768)


@pytest.mark.parametrize("content", ["", "\0\0\0", '{"m6i.xlarge": [4'])
def test_types_that_a_power_cut_lost_are_asked_for_again(
    root: Path, executor: Path, calls: Counter[str], content: str
) -> None:
    make_group(1)
    (root / tick.TYPES_FILE.lstrip("/")).write_text(content)
    tick.main()
    assert calls["DescribeInstanceTypes"] == 1
    assert executor.read_text() == expected(16384)


def test_the_program_is_quiet_and_succeeds_where_nothing_changed(
    as_master: None, capsys: pytest.CaptureFixture[str]
) -> None:
    make_group(1)
    tick.main()
    capsys.readouterr()
    assert sys.modules["tick"] is tick
    runpy.run_path(str(USERDATA / "master" / LIB / "tick.py"), run_name="__main__")
    assert capsys.readouterr() == ("", "")


def test_a_group_that_names_no_types_is_no_reason_to_size_an_executor_for_any(executor: Path) -> None:
    seen = observation.Observation(has_group=True, desired=0, instance_types=(), members={}, alive=None)
    with pytest.raises(ValueError, match="the group names no instance types"):
        tick.keep_executor_memory(seen)
    assert not executor.exists()
