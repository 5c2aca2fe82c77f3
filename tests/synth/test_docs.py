"""README and docs/: their Python synthesizes, their tables are fresh, their links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from spark_cluster import SparkCluster
from tests.aws_commands import AwsCommand, commands_in
from tests.synth.conftest import new_stack
from tests.synth.synthesized import Synthesized

CHECKOUT = Path(__file__).parents[2]
PAGES = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md")])
BLOCKS = [
    pytest.param(textwrap.dedent(block), id=f"{page.relative_to(CHECKOUT)}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"(?ms)^ *```python\n(.*?)^ *```", page.read_text()), 1)
]


@pytest.mark.parametrize("block", BLOCKS)
def test_its_python_synthesizes(block: str, tmp_path: Path) -> None:
    """A whole app, or lines that go into one whose stack is `stack` and whose cluster, if it has one, is `cluster`."""
    assert not re.search(r"\.\.\.", block), "something is left out"
    if "app.synth()" in block:
        subprocess.run([sys.executable, "-c", block], cwd=tmp_path, check=True)
        (written,) = tmp_path.glob("cdktf.out/stacks/*/cdk.tf.json")
        assert '"aws_autoscaling_group"' in written.read_text()
        return
    stack = new_stack(tmp_path)
    names: dict[str, Any] = {"stack": stack}
    if re.search(r"\bcluster\.", block):
        subnets = ["subnet-0123456789abcdef0"]
        names["cluster"] = SparkCluster(stack, "spark", name="analytics", vpc_id="vpc-01234567", subnet_ids=subnets)
    exec(block, names)  # noqa: S102 - our own
    made = Synthesized(stack)
    assert made.the("aws_iam_role_policy" if "ExistingCluster" in block else "aws_autoscaling_group")


def fenced(page: str, language: str) -> str:
    """The one block of a page in a language."""
    (block,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```", (CHECKOUT / "docs" / page).read_text())
    return str(block)


@pytest.fixture
def consumer(tmp_path: Path) -> Path:
    """A stack of somebody's own, with what the docs tell them to have beside it."""
    (tmp_path / "stack.py").write_text(CONSUMER)
    (tmp_path / "conftest.py").write_text(fenced("stacks.md", "py"))
    (tmp_path / "pyproject.toml").write_text(fenced("stacks.md", "toml"))
    return tmp_path


CONSUMER = """
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider

from spark_cluster import SparkCluster, Workers


def build(app: App) -> TerraformStack:
    stack = TerraformStack(app, "analytics")
    AwsProvider(stack, "aws", region="eu-central-1")
    workers = Workers(min_size=2, max_size=10)
    SparkCluster(stack, "spark", name="x", vpc_id="vpc-1", subnet_ids=["subnet-1"], workers=workers)
    return stack
"""

CONSUMER_TEST = """
import sys

import cdktf
from cdktf_cdktf_provider_aws.instance import Instance

import stack


def test_there_is_a_master_and_few_modules_are_loaded():
    synthesized = cdktf.Testing.synth(stack.build(cdktf.Testing.app()))
    assert cdktf.Testing.to_have_resource(synthesized, Instance.TF_RESOURCE_TYPE)
    assert len([name for name in sys.modules if name.startswith("cdktf_cdktf_provider_aws.")]) < 100
"""


def test_a_consumer_s_tests_load_what_they_use(consumer: Path) -> None:
    (consumer / "test_stack.py").write_text(CONSUMER_TEST)
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error"]
    done = subprocess.run(command, cwd=consumer, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_a_consumer_s_types_are_checked_without_the_provider(consumer: Path) -> None:
    """Within seconds: with the provider's own types it would be minutes, and this would time out."""
    environment = {**os.environ, "MYPYPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "mypy", "--strict", "stack.py"]
    done = subprocess.run(
        command, cwd=consumer, env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "Success: no issues found in 1 source file\n"


def test_there_is_python_to_try() -> None:
    assert {"README.md-1", "docs/stacks.md-1", "docs/stacks.md-2"} <= {block.id for block in BLOCKS}


def test_its_tables_are_fresh() -> None:
    check = [sys.executable, "tools/tables.py", "--check"]
    environment = {"PYTHONPATH": str(CHECKOUT), "PATH": os.environ["PATH"]}
    done = subprocess.run(check, cwd=CHECKOUT, check=False, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_its_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """What GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


COMMANDS = [
    pytest.param(command, id=f"{page.relative_to(CHECKOUT)}-{number}")
    for page in PAGES
    for number, command in enumerate(commands_in(page.read_text(), "autoscaling|service-quotas"), 1)
]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_commands_are_calls_that_aws_has(command: str, default: Synthesized) -> None:
    """With the group and the hook that a cluster has."""
    found = AwsCommand.parse(command).arguments
    names = [*found.get("AutoScalingGroupNames", []), *filter(None, [found.get("AutoScalingGroupName")])]
    assert {re.sub("^[a-z]+-", "", name) for name in names} <= {"spark-workers"}
    hook = default.the("aws_autoscaling_lifecycle_hook")["name"]
    assert found.get("LifecycleHookName", hook) == hook


def test_there_are_commands_to_try() -> None:
    assert {"docs/leaving.md-3", "docs/changes.md-3"} <= {command.id for command in COMMANDS}


@pytest.mark.parametrize(
    "command",
    [
        "aws autoscaling terminate-instance-in-auto-scaling-group --instance-ids i-1",
        "aws autoscaling terminate-instances --instance-id i-1",
        "aws autoscaling terminate-instance-in-auto-scaling-group --instance-id i-1",
    ],
)
def test_a_command_that_aws_has_not_is_none(command: str) -> None:
    with pytest.raises((KeyError, ValueError)):
        AwsCommand.parse(command)


def test_the_docs_say_how_long_an_old_worker_waits(default: Synthesized) -> None:
    seconds = default.the("aws_autoscaling_lifecycle_hook")["heartbeat_timeout"]
    assert f" {seconds:,} s by default" in (CHECKOUT / "docs/changes.md").read_text()
