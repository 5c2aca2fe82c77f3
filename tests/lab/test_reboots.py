"""A host that reboots, or loses its power, while it boots: the boot goes on where it was.

One runs always; the rest in `make test-long`.
"""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any

import pytest

from lab.cluster import Cluster, boot_log_on, until
from lab.hosts import Host
from lab.lab import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.lab import Lab

READY_SECONDS = 180
"""How long after it came back a host may take."""

SUCCEEDED = "boot succeeded"


def installs(host: Host) -> bool:
    return " installs " in host.boot_log


def downloads(host: Host) -> bool:
    return "trying " in host.boot_log


def unpacks(host: Host) -> bool:
    return any((host.folder / "upper/opt").glob("spark-*.unpacking/jars"))


def reboot(lab: Lab, host: Host) -> None:
    lab.client("ec2").reboot_instances(InstanceIds=[host.instance_id])


def power_cut(_: Lab, host: Host) -> None:
    host.cut_power()


@pytest.fixture
def worker(demo: Cluster) -> Iterator[Host]:
    """A worker that has just been launched."""
    before, size = set(demo.members()), demo.in_aws.group()["DesiredCapacity"]
    demo.set_size(size + 1)
    until(lambda: set(demo.members()) - before, 30, "one more member")
    (instance_id,) = set(demo.members()) - before
    yield Host(instance_id)
    assert demo.members()[instance_id] == "InService"
    demo.set_size(size)
    until(lambda: len(demo.members()) == size, 180, "the group has its size again")


@pytest.fixture
def master(lab: Lab, demo: Cluster) -> Iterator[Host]:
    """A second host that boots as the master of `demo` did, which nobody looks for."""
    ec2, one = lab.client("ec2"), demo.in_aws.master()
    user_data: Any = ec2.describe_instance_attribute(InstanceId=one["InstanceId"], Attribute="userData")
    made = ec2.run_instances(
        ImageId=one["ImageId"],
        InstanceType=one["InstanceType"],
        SubnetId=one["SubnetId"],
        SecurityGroupIds=[group["GroupId"] for group in one["SecurityGroups"]],
        IamInstanceProfile={"Arn": one["IamInstanceProfile"]["Arn"]},
        UserData=base64.b64decode(user_data["UserData"]["Value"]),  # boto3 encodes it
        MinCount=1,
        MaxCount=1,
    )
    instance_id = made["Instances"][0]["InstanceId"]
    yield Host(instance_id)
    ec2.terminate_instances(InstanceIds=[instance_id])


IN_CI = ("worker", installs, power_cut)
ALL = {
    (role, moment, end)
    for role in ("worker", "master")
    for moment in (installs, downloads, unpacks)
    for end in (reboot, power_cut)
}
CASES = [
    pytest.param(
        *case,
        id=f"{case[0]} {case[1].__name__}, {case[2].__name__}",
        marks=() if case == IN_CI else pytest.mark.long,
    )
    for case in sorted(ALL, key=str)
]


@pytest.mark.parametrize(("role", "moment", "end"), CASES)
def test_boot_that_was_cut_off_goes_on(
    lab: Lab,
    request: pytest.FixtureRequest,
    role: str,
    moment: Callable[[Host], bool],
    end: Callable[[Lab, Host], None],
    record_property: Callable[[str, object], None],
) -> None:
    host: Host = request.getfixturevalue(role)
    until_soon(lambda: moment(host), 180, f"{role} {moment.__name__}")
    assert SUCCEEDED not in host.boot_log
    before = host.boot_log.count("read_settings")
    end(lab, host)
    until(lambda: host.boot_log.count("read_settings") > before, 120, "the boot goes on")
    seconds = until(lambda: SUCCEEDED in host.boot_log, READY_SECONDS, "the boot succeeds")
    record_property("seconds", round(seconds))
    assert "boot failed" not in host.boot_log
    assert run(host, "systemctl", "is-active", f"spark-{role}").stdout.strip() == "active"
    assert run(host, "cloud-init", "status", "--wait").stdout.strip().endswith("status: done")
    assert SUCCEEDED in host.console, "the console tells"
    assert run(host, "systemctl", "is-enabled", "spark-boot").stdout.strip() == "disabled"
    assert boot_log_on(host).splitlines()[-1].endswith(" s")


def until_soon(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for something that does not last."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
