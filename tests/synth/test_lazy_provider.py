"""What `tests/unit/test_lazy_provider.py` tests with a package like the provider, with the provider itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

PROLOGUE = """
import json, os, sys
from spark_cluster import lazy_provider
lazy = lazy_provider.import_lazily()
"""

STACK = """
from cdktf import App, TerraformStack
from cdktf_cdktf_provider_aws.provider import AwsProvider
from cdktf_cdktf_provider_aws.security_group import SecurityGroup, SecurityGroupIngress
from cdktf_cdktf_provider_aws.vpc import Vpc
app = App(outdir=os.getcwd())
stack = TerraformStack(app, "stack")
AwsProvider(stack, "aws", region="eu-central-1")
vpc = Vpc(stack, "vpc", cidr_block="10.0.0.0/16")
rules = [SecurityGroupIngress(protocol="tcp", from_port=22, to_port=22, cidr_blocks=[vpc.cidr_block])]
SecurityGroup(stack, "group", vpc_id=vpc.id, ingress=rules)
"""

EPILOGUE = """
app.synth()
imported = sorted({name.split(".")[1] for name in sys.modules if name.startswith("cdktf_cdktf_provider_aws.")})
print(json.dumps({"lazy": lazy, "imported": imported}))
"""


def run(program: str, cwd: Path, **variables: str) -> Any:
    """Run a program in a process of its own, since this one has imported the provider by now; what it printed."""
    cwd.mkdir(exist_ok=True)
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_imports_only_what_an_app_uses_and_synthesizes_the_same(tmp_path: Path) -> None:
    lazy = run(PROLOGUE + STACK + EPILOGUE, tmp_path / "lazy")
    eager = run(PROLOGUE + STACK + EPILOGUE, tmp_path / "eager", SPARK_CLUSTER_EAGER_PROVIDER="1")

    assert lazy == {"lazy": True, "imported": ["_jsii", "provider", "security_group", "vpc"]}
    assert eager["lazy"] is False
    assert len(eager["imported"]) > 2_000
    resources = [
        json.loads((tmp_path / way / "stacks/stack/cdk.tf.json").read_text())["resource"] for way in ("lazy", "eager")
    ]
    assert resources[0] == resources[1]


def test_node_may_hand_back_an_object_whose_module_nobody_imported(tmp_path: Path) -> None:
    made_by_node = """
import jsii
from jsii._kernel import CreateRequest
from jsii._kernel.types import ObjRef
from cdktf_cdktf_provider_aws import _jsii
scope = ObjRef(ref=stack.__jsii_ref__.ref)
config = {"ami": "ami-1", "instanceType": "m6i.xlarge"}
jsii.kernel.provider.create(CreateRequest(fqn="@cdktf/provider-aws.instance.Instance", args=[scope, "node", config]))
before = "cdktf_cdktf_provider_aws.instance" in sys.modules
node = stack.node.find_child("node")
from cdktf_cdktf_provider_aws.instance import Instance
print(json.dumps([before, isinstance(node, Instance), node.instance_type_input]))
"""
    assert run(PROLOGUE + STACK + made_by_node, tmp_path) == [False, True, "m6i.xlarge"]


def test_finds_every_module_by_the_name_that_jsii_has_for_it(tmp_path: Path) -> None:
    compare = """
import tarfile
from importlib.resources import as_file, files
from jsii import _reference_map
from cdktf_cdktf_provider_aws import _jsii
folder = files("cdktf_cdktf_provider_aws._jsii")
[name] = [each.name for each in folder.iterdir() if each.name.endswith(".tgz")]
with as_file(folder / name) as path, tarfile.open(path) as archive:
    assembly = json.load(archive.extractfile("package/.jsii"))
known = {name for name in _reference_map._submodule_fqn_map if name.startswith("@cdktf/provider-aws.")}
print(json.dumps([len(known), sorted(known ^ set(assembly["submodules"]))]))
"""
    count, differences = run(PROLOGUE + compare, tmp_path)
    assert count > 2_000
    assert differences == []
