"""A stack of a cluster with the arguments that a test names, and the one without any."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import pytest
from cdktf import TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster
from tests.synth.synthesized import Synthesized, new_app

if TYPE_CHECKING:
    from pathlib import Path

REQUIRED: dict[str, Any] = {"name": "demo", "vpc_id": "vpc-1", "subnet_ids": ["subnet-1"]}

NO_ALIAS = (
    "be a KMS key's ARN such as 'arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab', "
    "not an alias, which gives nothing in a policy"
)


class Synthesize(Protocol):
    """Makes a cluster in the test's stack."""

    def __call__(self, **arguments: object) -> Synthesized: ...


def new_stack(folder: Path) -> TerraformStack:
    stack = TerraformStack(new_app(folder), "stack")
    AwsProvider(stack, "aws", region="us-east-1")
    return stack


@pytest.fixture
def stack(tmp_path: Path) -> TerraformStack:
    """An empty stack with a provider."""
    return new_stack(tmp_path)


@pytest.fixture
def synthesize(stack: TerraformStack) -> Synthesize:
    """A function that makes the cluster `spark` in `stack`, and synthesizes that."""

    def make(**arguments: Any) -> Synthesized:
        SparkCluster(stack, "spark", **{**REQUIRED, **arguments})
        return Synthesized(stack)

    return make


@pytest.fixture(scope="session")
def default_cluster(tmp_path_factory: pytest.TempPathFactory) -> SparkCluster:
    """A cluster with nothing but what it requires."""
    return SparkCluster(new_stack(tmp_path_factory.mktemp("default")), "spark", **REQUIRED)


@pytest.fixture(scope="session")
def default(default_cluster: SparkCluster) -> Synthesized:
    """That cluster, synthesized."""
    stack = TerraformStack.of(default_cluster)
    return Synthesized(stack)
