"""The lab itself: that it is as unkind as AWS, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from lab import faults
from lab.cluster import until
from lab.deployment import ROOT
from lab.enclosure import Enclosure
from lab.hosts import Host
from lab.lab import run
from lab.places import AWS_ENDPOINT, DEPLOYER, METADATA, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.cluster import Cluster
    from lab.lab import Lab

GROUP = "held"
HEARTBEAT_SECONDS = 30

CRASH = """
import signal, sys, time
from pathlib import Path
from lab.enclosure import Enclosure
# A shell that starts the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
enclosure = Enclosure.create(outlives_us=False)
enclosure.run("ip", "link", "add", "br0", "type", "bridge")
enclosure.start(("sleep", "4242"), Path(sys.argv[1]))
print(enclosure.pid, enclosure.started, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("end", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_program_that_crashes_leaves_no_process_and_no_namespace(lab: Lab, tmp_path: Path, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CRASH, str(tmp_path / "log")],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as program:
        assert program.stdout
        pid, started = program.stdout.readline().split()
        enclosure = Enclosure(int(pid), started)
        assert enclosure.alive
        until(lambda: running("sleep 4242"), 10, "something runs inside")
        program.send_signal(end)
    until(lambda: not running("sleep 4242"), 10, "nothing runs inside")
    until(lambda: not enclosure.alive, 10, "its namespaces' first process is gone")
    assert lab.enclosure.alive


def running(command: str) -> bool:
    """Whether a process of this command line is there."""
    return subprocess.run(["pgrep", "-fx", command], check=False, stdout=subprocess.DEVNULL).returncode == 0


def test_a_second_program_hears_that_the_lab_is_taken(lab: Lab) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab.demo"], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode != 0
    assert "another program is at work in the lab" in done.stderr


def metadata(host: Host, path: str, *, token: bool = True) -> str:
    """What a host reads from the metadata service."""
    service = f"http://{METADATA}/latest"
    ask = f"curl -s -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 60' {service}/api/token"
    header = f'-H "X-aws-ec2-metadata-token: $({ask})"' if token else ""
    return run(host, "bash", "-c", f"curl -s -w '%{{http_code}}' {header} {service}/{path}").stdout


def test_metadata_needs_a_token_and_tells_each_host_of_itself(demo: Cluster) -> None:
    (worker, *_) = demo.workers().values()
    assert metadata(worker, "meta-data/instance-id", token=False) == "401"
    for host in (worker, demo.master()):
        assert metadata(host, "meta-data/instance-id") == f"{host.instance_id}200"
    assert metadata(worker, "meta-data/autoscaling/target-lifecycle-state") == "InService200"
    assert metadata(worker, "meta-data/spot/instance-action").endswith("404")
    notice = '{"action": "terminate", "time": "2030-01-01T00:00:00Z"}'
    with faults.injected(notices={worker.instance_id: {"spot/instance-action": notice}}):
        assert metadata(worker, "meta-data/spot/instance-action") == f"{notice}200"
        assert metadata(demo.master(), "meta-data/spot/instance-action").endswith("404")
        assert "spot/" in metadata(worker, "meta-data/")
    assert metadata(demo.master(), "meta-data/autoscaling/target-lifecycle-state").endswith("404")


def test_spark_s_classes_are_mapped_from_an_archive(demo: Cluster) -> None:
    """Java says nothing if it does not take it, and all starts take twice as long."""
    for unit, host in (("spark-master", demo.master()), ("spark-worker", next(iter(demo.workers().values())))):
        pid = run(host, "systemctl", "show", "--property=MainPID", "--value", unit).stdout.strip()
        assert "/usr/share/lab-java/" in run(host, "cat", f"/proc/{pid}/maps").stdout


def test_a_host_can_have_a_small_disk_under_a_folder_which_leaves_nothing_behind(demo: Cluster) -> None:
    (worker, *_) = demo.workers().values()
    worker.put_disk("/mnt", 20)
    size = int(run(worker, "findmnt", "--noheadings", "--bytes", "--output=SIZE", "/mnt").stdout)
    assert 10 << 20 < size < 20 << 20
    devices = ("losetup", "--noheadings", "--list", "--output=NAME,BACK-FILE")
    assert str(worker.folder) in subprocess.run(devices, check=True, capture_output=True, text=True).stdout
    assert run(worker, "umount", "/mnt").returncode == 0
    assert str(worker.folder) not in subprocess.run(devices, check=True, capture_output=True, text=True).stdout


def test_a_host_can_be_cut_off_from_one_address(demo: Cluster) -> None:
    (worker, *_), master = demo.workers().values(), demo.master_address()
    page = ("curl", "--silent", "--max-time", "3", "--output", "/dev/null", f"http://{master}:8080/json/")
    assert run(worker, *page).returncode == 0
    worker.lose(master)
    try:
        assert run(worker, *page).returncode == 28, "the time is over: nobody tells it that what it sends is lost"
        assert metadata(worker, "meta-data/instance-id") == f"{worker.instance_id}200"
    finally:
        worker.find(master)
    until(lambda: run(worker, *page).returncode == 0, 10, "it is back")


def test_name_that_was_asked_for_too_early_stays_unknown(lab: Lab, demo: Cluster) -> None:
    master, route53 = demo.master(), lab.client("route53")
    (zone,) = [zone for zone in route53.list_hosted_zones()["HostedZones"] if zone["Name"] == "demo-spark."]
    records = [
        {"Name": f"{name}.demo-spark.", "Type": "A", "TTL": 30, "ResourceRecords": [{"Value": "10.0.0.9"}]}
        for name in ("early", "late")
    ]

    def change(action: str) -> None:
        changes = [{"Action": action, "ResourceRecordSet": record} for record in records]
        route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes})

    assert run(master, "getent", "hosts", "early.demo-spark").returncode != 0
    change("CREATE")
    time.sleep(faults.RECORD_DELAY_SECONDS + 10)
    try:
        assert run(master, "getent", "hosts", "late.demo-spark").stdout.startswith("10.0.0.9")
        assert run(master, "getent", "hosts", "early.demo-spark").returncode != 0
    finally:
        change("DELETE")


def test_rule_that_is_revoked_twice_is_said_to_be_gone(lab: Lab) -> None:
    ec2 = lab.client("ec2")
    group = ec2.create_security_group(GroupName="twice", Description="of one rule")["GroupId"]
    rules = ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])["SecurityGroupRules"]
    revoked = {"GroupId": group, "SecurityGroupRuleIds": [rule["SecurityGroupRuleId"] for rule in rules]}
    assert ec2.revoke_security_group_egress(**revoked)["Return"]
    with pytest.raises(ec2.exceptions.ClientError, match=r"InvalidSecurityGroupRuleId\.NotFound"):
        ec2.revoke_security_group_egress(**revoked)
    ec2.delete_security_group(GroupId=group)


def test_refresh_that_skips_workers_is_refused_where_the_template_names_a_parameter(lab: Lab, demo: Cluster) -> None:
    assert demo.name == "demo"
    scaling = lab.client("autoscaling")
    with pytest.raises(scaling.exceptions.ClientError, match="Systems Manager parameter"):
        scaling.start_instance_refresh(AutoScalingGroupName="demo-spark-workers", Preferences={"SkipMatching": True})


def test_refresh_with_a_maximum_launches_a_member_before_it_ends_one(held: Any) -> None:
    old = let_in(held, 2)
    with pytest.raises(held.exceptions.ClientError, match="MinHealthyPercentage"):
        held.start_instance_refresh(AutoScalingGroupName=GROUP, Preferences={"MaxHealthyPercentage": 110})
    percentages = {"MinHealthyPercentage": 100, "MaxHealthyPercentage": 110}
    held.start_instance_refresh(AutoScalingGroupName=GROUP, Preferences=percentages)
    until(lambda: len(states(held)) == 3, 10, "a third member is launched")
    assert in_service(held) == old
    new = let_in(held, 1)
    until(lambda: len(in_service(held) & old) == 1, 10, "one of the old is ended for it")
    new |= let_in(held, 1)
    until(lambda: set(states(held)) == new, 60, "both are replaced")
    (refresh,) = held.describe_instance_refreshes(AutoScalingGroupName=GROUP)["InstanceRefreshes"]
    assert refresh["Status"] == "Successful"


def test_call_that_is_sent_again_is_done_once(lab: Lab) -> None:
    call = {"Action": "CreateSecurityGroup", "GroupName": "again", "GroupDescription": "once", "Version": "2016-11-15"}
    headers = {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={DEPLOYER}/20260101/{REGION}/ec2/aws4_request",
        "Amz-Sdk-Invocation-Id": "the same",
    }
    request = urllib.request.Request(AWS_ENDPOINT, urllib.parse.urlencode(call).encode(), headers)
    answers = [urllib.request.urlopen(request, timeout=30).read() for _ in range(2)]
    assert b"sg-" in answers[0]
    assert answers[0] == answers[1]
    lab.client("ec2").delete_security_group(GroupName="again")


@pytest.fixture
def held(lab: Lab, demo: Cluster) -> Iterator[Any]:
    """A group of two hosts without user data, whose launches a hook holds."""
    ec2, client = lab.client("ec2"), lab.client("autoscaling")
    image = demo.in_aws.master()["ImageId"]
    ec2.create_launch_template(
        LaunchTemplateName=GROUP, LaunchTemplateData={"ImageId": image, "InstanceType": "m5.large"}
    )
    client.create_auto_scaling_group(
        AutoScalingGroupName=GROUP,
        MinSize=0,
        MaxSize=2,
        VPCZoneIdentifier=ec2.describe_subnets()["Subnets"][0]["SubnetId"],
        LaunchTemplate={"LaunchTemplateName": GROUP, "Version": "1"},
    )
    client.put_lifecycle_hook(
        AutoScalingGroupName=GROUP,
        LifecycleHookName="hold",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=HEARTBEAT_SECONDS,
        DefaultResult="ABANDON",
    )
    client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=2)
    until(lambda: len(states(client)) == 2, 10, "two hosts are launched")
    yield client
    client.set_desired_capacity(AutoScalingGroupName=GROUP, DesiredCapacity=0)
    until(lambda: not states(client), 120, "the group is empty")
    client.delete_auto_scaling_group(AutoScalingGroupName=GROUP)
    ec2.delete_launch_template(LaunchTemplateName=GROUP)


def states(client: Any) -> dict[str, str]:
    """The members' states."""
    (group,) = client.describe_auto_scaling_groups(AutoScalingGroupNames=[GROUP])["AutoScalingGroups"]
    return {member["InstanceId"]: member["LifecycleState"] for member in group["Instances"]}


def in_service(client: Any) -> set[str]:
    """The members in service."""
    return {name for name, state in states(client).items() if state == "InService"}


def let_in(client: Any, count: int) -> set[str]:
    """Complete so many held launches, and return which."""
    hook = {"AutoScalingGroupName": GROUP, "LifecycleHookName": "hold"}
    until(lambda: list(states(client).values()).count("Pending:Wait") == count, 60, "launches are held")
    waiting = {name for name, state in states(client).items() if state == "Pending:Wait"}
    for name in waiting:
        client.complete_lifecycle_action(**hook, InstanceId=name, LifecycleActionResult="CONTINUE")
    until(lambda: waiting <= in_service(client), 10, "completed launches are in service")
    return waiting


@pytest.mark.long
def test_interrupted_host_has_notice_and_loses_its_power_whatever_its_hook_says(held: Any) -> None:
    leaving, staying = sorted(let_in(held, 2))
    host = Host(leaving)
    held.update_auto_scaling_group(AutoScalingGroupName=GROUP, CapacityRebalance=True)
    held.put_lifecycle_hook(
        AutoScalingGroupName=GROUP,
        LifecycleHookName="drained",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        HeartbeatTimeout=600,
        DefaultResult="CONTINUE",
    )
    at = time.time() + 20
    faults.interrupt(leaving, 20)
    until(lambda: states(held)[leaving] == "Terminating:Wait", 5, "it leaves by its hook")
    until(lambda: len(states(held)) == 3, 5, "another is launched at once")
    notice = json.loads(metadata(host, "meta-data/spot/instance-action").removesuffix("200"))
    assert notice["action"] == "terminate"
    assert abs(datetime.fromisoformat(notice["time"]).timestamp() - at) < 2
    assert metadata(host, "meta-data/autoscaling/target-lifecycle-state") == "Terminated200"
    assert metadata(Host(staying), "meta-data/spot/instance-action").endswith("404")
    until(lambda: host.first_process is None, 25, "its power is cut")
    assert -1 < time.time() - at < 3
    until(lambda: leaving not in states(held), 5, "the group has it no longer")
    assert "Reached target" in host.console
    assert "Powering off" not in host.console
    let_in(held, 1)
    held.delete_lifecycle_hook(AutoScalingGroupName=GROUP, LifecycleHookName="drained")
