"""The wheel, as a consumer has it: installed into an environment without this checkout, used from another folder.

This project's own dependencies are lent to that environment, so that the test needs no network and a few seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]

CONSUMER = """
from spark_cluster import lazy_provider

lazy_provider.import_lazily()

import spark_cluster
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from spark_cluster import SparkCluster

app = App(outdir="out")
stack = TerraformStack(app, "stack")
AwsProvider(stack, "aws", region="eu-central-1")
SparkCluster(stack, "spark", name="wheel", vpc_id="vpc-1", subnet_ids=["subnet-1"])
app.synth()
print(spark_cluster.__file__)
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `pip install .` does, without the network: the wheel is built, and installed into a new environment."""
    root = tmp_path_factory.mktemp("consumer")
    dist = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]
    here = ["--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *here, "--no-build-isolation", "--wheel-dir", dist, CHECKOUT], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", root], check=True)
    subprocess.run([*pip, "--python", root, "install", *here, *dist.glob("*.whl")], check=True)
    # A folder named in a .pth file is searched, but its own .pth files, such as this checkout's, are not obeyed.
    (site_packages(root) / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    return root


def site_packages(environment: Path) -> Path:
    return Path(sysconfig.get_path("purelib", scheme="venv", vars={"base": str(environment)}))


def test_a_consumer_synthesizes_from_the_wheel(environment: Path, tmp_path: Path) -> None:
    without_hints = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    python = environment / "bin" / "python"
    done = subprocess.run(
        [python, "-c", CONSUMER], cwd=tmp_path, env=without_hints, stdout=subprocess.PIPE, text=True, check=True
    )

    assert Path(done.stdout.strip()).is_relative_to(environment)
    resources = json.loads((tmp_path / "out/stacks/stack/cdk.tf.json").read_text(encoding="utf-8"))["resource"]
    assert {"aws_instance", "aws_autoscaling_group", "aws_launch_template"} <= resources.keys()


def test_the_wheel_carries_each_file_of_the_nodes_and_nothing_else_of_the_checkout(environment: Path) -> None:
    package = site_packages(environment) / "spark_cluster"
    assert contents(package) == {
        **contents(CHECKOUT / "spark_cluster"),
        **{f"_userdata/{name}": text for name, text in contents(CHECKOUT / "userdata").items()},
    }


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
