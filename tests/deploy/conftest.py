"""The real `cdktf deploy`, with the real Terraform and AWS provider, into an AWS that runs on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from lab import faults
from lab.deployment import PROVIDER_COPY, ROOT, Deployment, Done, missing
from lab.serving import EmulatedAws, emulated_aws
from tests.deploy import renames as renaming

if TYPE_CHECKING:
    from collections.abc import Iterator


LONG = bool(os.environ.get("LONG"))
LONG_TESTS_ALONE = {"renamed", "existing_stack", "two_clusters", "ported_module"}
"""Look at these apps."""
AT_ONCE = 4
"""Terraform gives its provider a minute to start: of ten at once on a busy machine some take longer."""
Deployments: TypeAlias = dict[str, tuple[Deployment, Future[Done]]]
"""Each app's folder by the app's name, with its deploy, which may still be under way."""


def finished(deployments: Deployments, name: str) -> Deployment:
    """The deployment of that name, once its deploy has succeeded."""
    deployment, future = deployments[name]
    done = future.result()
    assert done.returncode == 0, done.stdout[-4000:]
    return deployment


@pytest.fixture(scope="session")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatedAws]:
    """One AWS for the whole tier."""
    reason = missing()
    if reason and os.environ.get("CI") == "true" and PROVIDER_COPY:
        pytest.fail(f"a machine that has the provider must not skip the deploys: {reason}")
    if reason:
        pytest.skip(reason)
    with emulated_aws(tmp_path_factory.mktemp("aws")) as aws:
        yield aws


@pytest.fixture(scope="session")
def private_key(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A caller's own private key."""
    file = tmp_path_factory.mktemp("key") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", file], check=True)
    return file.read_text()


@pytest.fixture(scope="session")
def deployments(aws: EmulatedAws, private_key: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployments]:
    """The apps, being deployed side by side, some at once: nearly all of a deploy is waiting."""
    folder = tmp_path_factory.mktemp("deploy")
    sydney = aws.client("ec2", "ap-southeast-2").describe_subnets()["Subnets"][0]
    oregon = aws.client("ec2", "us-west-2")
    [default_vpc] = oregon.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
    in_default = [{"Name": "vpc-id", "Values": [default_vpc["VpcId"]]}]
    subnet_ids = [subnet["SubnetId"] for subnet in oregon.describe_subnets(Filters=in_default)["Subnets"]]
    boundary = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam = aws.client("iam")
    first_boundary = iam.create_policy(PolicyName="first", PolicyDocument=json.dumps(boundary))["Policy"]["Arn"]
    other_vpc = oregon.create_vpc(CidrBlock="10.99.0.0/16")["Vpc"]["VpcId"]
    other_subnet = oregon.create_subnet(VpcId=other_vpc, CidrBlock="10.99.0.0/24")["Subnet"]["SubnetId"]
    ported = {
        "vpc_platform_id": sydney["VpcId"],
        "subnet_id": sydney["SubnetId"],
        "key_name": "operators",
        "account_id": "123456789012",
        "fleet_private_key": private_key,
    }
    aws.client("ec2", "ap-southeast-2").create_key_pair(KeyName="operators")
    source_ami_id = aws.client("ec2", "eu-central-1").describe_images()["Images"][0]["ImageId"]
    public = oregon.describe_images()["Images"][0]["ImageId"]
    own_ami_id = oregon.copy_image(Name="own", SourceImageId=public, SourceRegion="us-west-2")["ImageId"]
    dublin = aws.client("ec2", "eu-west-1")
    for subnet in dublin.describe_subnets()["Subnets"]:
        if subnet["AvailabilityZone"] != "eu-west-1c":
            dublin.delete_subnet(SubnetId=subnet["SubnetId"])
    apps = Path(__file__).parent / "apps"
    made = {
        "main": Deployment(ROOT / "main.py", "spark-cluster-demo-us-east-1", folder / "main", aws.url),
        "renamed": Deployment(
            ROOT / "main.py",
            "spark-cluster-first-eu-west-1",
            folder / "renamed",
            aws.url,
            context={"name": "first", "region": "eu-west-1"},
        ),
        "existing_stack": Deployment(
            ROOT / "examples/existing_stack.py", "existing-stack", folder / "existing_stack", aws.url
        ),
        "two_clusters": Deployment(ROOT / "examples/two_clusters.py", "two-clusters", folder / "two_clusters", aws.url),
        "ported_module": Deployment(
            ROOT / "examples/ported_module.py", "ported-module", folder / "ported_module", aws.url, ported
        ),
        "kept_bucket": Deployment(
            apps / "kept_bucket.py",
            "kept-bucket",
            folder / "kept_bucket",
            aws.url,
            {"ami_id": own_ami_id, "subnet_ids": json.dumps(subnet_ids)},
        ),
        "wrong_subnet": Deployment(
            apps / "wrong_subnet.py", "wrong-subnet", folder / "wrong_subnet", aws.url, {"subnet_id": other_subnet}
        ),
        "unasked": Deployment(
            apps / "unasked.py",
            "unasked",
            folder / "unasked",
            aws.url,
            {"source_ami_id": source_ami_id, "permissions_boundary_arn": first_boundary},
        ),
        "missing_ami": Deployment(apps / "missing_ami.py", "missing-ami", folder / "missing_ami", aws.url),
        "no_workers": Deployment(apps / "no_workers.py", "no-workers", folder / "no_workers", aws.url),
    }

    if not LONG:
        made = {name: deployment for name, deployment in made.items() if name not in LONG_TESTS_ALONE}

    def deploy_first(name: str) -> Done:
        with faults.injected(failed_launches={"no-workers": "quota"} if name == "no_workers" else {}):
            return made[name].deploy()

    with ThreadPoolExecutor(max_workers=AT_ONCE if PROVIDER_COPY else 1) as pool:
        yield {name: (deployment, pool.submit(deploy_first, name)) for name, deployment in made.items()}


@pytest.fixture(scope="session")
def renames(aws: EmulatedAws, deployments: Deployments) -> Iterator[Future[renaming.Renames]]:
    """What `test_other_names.py` looks at."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(lambda: renaming.play(aws, finished(deployments, "renamed")))


@pytest.fixture(scope="session", autouse=True)
def begun(request: pytest.FixtureRequest) -> None:
    """At once: what is deployed, and the renames, which take as long as all other tests together."""
    request.getfixturevalue("renames" if LONG else "deployments")
