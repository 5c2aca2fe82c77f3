"""`main.py` deployed under one name, then under another, from the same folder; then back, and destroyed.

A dozen commands, each of which needs the one before, and nearly all of them waiting: they run beside the other tests,
and `test_other_names.py` looks at what was seen.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lab.inventory import ClusterInAws

if TYPE_CHECKING:
    from lab.deployment import Deployment, Done
    from lab.serving import EmulatedAws

REGION = "eu-west-1"

Left = dict[str, list[str]]
"""What bears a cluster's name, by kind."""


@dataclass(frozen=True)
class Renames:
    """What was seen of the cluster `first`, and of `second`, which came and went in the same folder.

    Attributes:
        zone: the zone of the first one's master.
        bucket: the first one's bucket.
        master: its master.
        left: what there was of it after it had run for a while.
        second_outputs: what the deploy of the second one printed.
        left_beside: what there was of the first one beside the second.
        master_beside: its master then.
        result_beside: an object in its bucket then.
        second_left: what there was of the second one after its destroy.
        left_after: what there was of the first one then.
        had_folder: whether the first one's folder was there before `cdktf output`.
        output: how that ended.
        shown: what Terraform shows in that folder.
        changes: what a deploy of the first one would change, with another default subnet.
        subnet: the subnet of its master.
        elsewhere: why a plan with a type that the subnet's zone lacks is refused.
        refused: a plan beside a state file of the former name.
        changes_renamed: what a deploy would change, once that file has its name again.
        destroyed: what there was of the first one after its destroy.
    """

    zone: str
    bucket: str
    master: str
    left: Left
    second_outputs: dict[str, str]
    left_beside: Left
    master_beside: str
    result_beside: bytes
    second_left: Left
    left_after: Left
    had_folder: bool
    output: Done
    shown: str
    changes: dict[str, str]
    subnet: str
    elsewhere: str
    refused: Done
    changes_renamed: dict[str, str]
    destroyed: Left


def play(aws: EmulatedAws, first: Deployment) -> Renames:
    """Do it all, from a deployed `first` on."""
    first_cluster, second_cluster = ClusterInAws(aws, "first", REGION), ClusterInAws(aws, "second", REGION)
    master = first_cluster.master()
    bucket = first.outputs()["bucket_name"]
    first_cluster.run_for_a_while(bucket)
    left = first_cluster.left()

    second = replace(first, stack="spark-cluster-second-eu-west-1", context={"name": "second", "region": REGION})
    succeeded(second.deploy())
    second_outputs, left_beside = second.outputs(), first_cluster.left()
    master_beside = first_cluster.master()["InstanceId"]
    result_beside = first_cluster.client("s3").get_object(Bucket=bucket, Key="data/result")["Body"].read()
    succeeded(second.destroy())
    second_left, left_after = second_cluster.left(), first_cluster.left()

    had_folder = first.stack_folder.exists()
    output = first.output()
    show = ["terraform", "output", "-raw", "group_name"]
    shown = subprocess.run(show, cwd=first.stack_folder, stdout=subprocess.PIPE, text=True, check=False).stdout

    ec2, subnet = aws.client("ec2", REGION), master["SubnetId"]
    while (new := ec2.create_default_subnet(AvailabilityZone="eu-west-1a")["Subnet"]["SubnetId"]) > subnet:
        ec2.delete_subnet(SubnetId=new)
    changes_now = changes(first)
    elsewhere = replace(first, context={**first.context, "worker_instance_types": ["c8a.2xlarge"]})
    why_elsewhere = elsewhere.reason() if elsewhere.diff().returncode else ""

    now, former = (first.folder / f"terraform.{stack}.tfstate" for stack in (first.stack, "spark-cluster"))
    now.rename(former)
    refused = first.diff()
    former.rename(now)
    changes_renamed = changes(first)
    succeeded(first.destroy())
    return Renames(
        zone=master["Placement"]["AvailabilityZone"],
        bucket=bucket,
        master=master["InstanceId"],
        left=left,
        second_outputs=second_outputs,
        left_beside=left_beside,
        master_beside=master_beside,
        result_beside=result_beside,
        second_left=second_left,
        left_after=left_after,
        had_folder=had_folder,
        output=output,
        shown=shown,
        changes=changes_now,
        subnet=subnet,
        elsewhere=why_elsewhere,
        refused=refused,
        changes_renamed=changes_renamed,
        destroyed=first_cluster.left(),
    )


def succeeded(done: Done) -> None:
    """Fail with what a command printed, if it did."""
    assert done.returncode == 0, done.stdout[-4000:]


def changes(deployment: Deployment) -> dict[str, str]:
    """What a deploy would change, but for what this AWS does not remember: that a policy is enabled."""
    succeeded(deployment.diff())
    found = deployment.changes().items()
    return {address: action for address, action in found if not address.startswith("aws_autoscaling_policy.")}
