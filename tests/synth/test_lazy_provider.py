"""What `tests/unit/test_lazy_provider.py` tests with a package like the provider, with the provider itself."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import spark_cluster

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


LOADED_BY_NODE = """
const fs = require("node:fs");
const { COUNTS } = process.env;
process.on("exit", () => fs.writeFileSync(`${COUNTS}/${process.pid}`, `${Object.keys(require.cache).length}`));
"""


def modules_of_node(counts: Path) -> int:
    """How many modules jsii's Node had loaded when it ended; the other one that wrote only starts it."""
    return max(int(file.read_text()) for file in counts.iterdir())


def counting(tmp_path: Path) -> dict[str, str]:
    """Variables with which each Node counts: a `NODE_OPTIONS` that a user might have, with a path with blanks."""
    program = tmp_path / "a user's own" / "counts.js"
    program.parent.mkdir(exist_ok=True)
    program.write_text(LOADED_BY_NODE)
    counts = tmp_path / "counts"
    counts.mkdir(exist_ok=True)
    return {"NODE_OPTIONS": f'--no-deprecation --require "{program}"', "COUNTS": str(counts)}


@pytest.fixture(scope="module")
def eager(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stack, synthesized with ordinary imports: once for all processes of the tests, since it takes long."""
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "eager"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        printed = folder / "printed.json"
        if not printed.exists():
            variables = {"SPARK_CLUSTER_EAGER_PROVIDER": "1", **counting(folder)}
            printed.write_text(json.dumps(run(PROLOGUE + STACK + EPILOGUE, folder, **variables)))
    found = json.loads(printed.read_text())
    assert found["lazy"] is False
    assert len(found["imported"]) > 2_000
    assert modules_of_node(folder / "counts") > 2_000
    return folder


def document(folder: Path) -> str:
    """The Terraform JSON, but for the path of the state, which is in it."""
    return (folder / "stacks/stack/cdk.tf.json").read_text().replace(str(folder), "")


def test_loads_only_what_an_app_uses_and_synthesizes_the_same(tmp_path: Path, eager: Path) -> None:
    lazy = run(PROLOGUE + STACK + EPILOGUE, tmp_path, **counting(tmp_path))
    assert lazy == {"lazy": True, "imported": ["_jsii", "provider", "security_group", "vpc"]}
    assert modules_of_node(tmp_path / "counts") < 1_000
    assert document(tmp_path) == document(eager)


def test_a_variable_leaves_node_alone_as_it_is(tmp_path: Path, eager: Path) -> None:
    printed = run(PROLOGUE + STACK + EPILOGUE, tmp_path, SPARK_CLUSTER_EAGER_NODE="1", **counting(tmp_path))
    assert printed["lazy"] is True
    assert modules_of_node(tmp_path / "counts") > 2_000
    assert document(tmp_path) == document(eager)


def test_the_library_may_be_in_any_folder(tmp_path: Path, eager: Path) -> None:
    folder = tmp_path / 'with blanks, "quotes", a \\ and Umläute'
    shutil.copytree(Path(spark_cluster.__file__).parent, folder / "spark_cluster")
    where = "import spark_cluster; assert 'Umläute' in spark_cluster.__file__\n"
    variables = counting(tmp_path) | {"PYTHONPATH": str(folder)}
    run(where + PROLOGUE + STACK + EPILOGUE, tmp_path, **variables)
    assert modules_of_node(tmp_path / "counts") < 1_000
    assert document(tmp_path) == document(eager)


@pytest.mark.parametrize("before", [{}, {"NODE_OPTIONS": ""}, {"NODE_OPTIONS": "--no-deprecation"}])
def test_the_apps_environment_stays_as_it_was(tmp_path: Path, before: dict[str, str]) -> None:
    program = """
import os
before = dict(os.environ)
from spark_cluster import lazy_provider
lazy_provider.import_lazily()
print(int(before == dict(os.environ)))
"""
    environment = {key: value for key, value in os.environ.items() if key != "NODE_OPTIONS"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment | before, stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == "1\n"


def test_called_after_node_has_started_it_is_lazy_in_python_alone(tmp_path: Path, eager: Path) -> None:
    printed = run(f"import constructs\n{PROLOGUE}{STACK}{EPILOGUE}", tmp_path, **counting(tmp_path))
    assert printed["lazy"] is True
    assert modules_of_node(tmp_path / "counts") > 2_000
    assert document(tmp_path) == document(eager)


@pytest.mark.parametrize(
    ("index", "order"),
    [
        ('exports.a = void 0;\nexports.a = require("./a");\n', "index a"),
        ('exports.a = void 0;\nexports.a = require("./a")\n', "a index"),
        ('module.exports = { a: require("./a") };\n', "a index"),
    ],
    ids=["as generated", "other punctuation", "another form"],
)
def test_an_index_of_another_form_is_loaded_as_ever(tmp_path: Path, index: str, order: str) -> None:
    lib = tmp_path / "node_modules/@cdktf/provider-aws/lib"
    lib.mkdir(parents=True)
    (lib / "index.js").write_text(index)
    (lib / "a.js").write_text("order.push('a');\nexports.value = 1;\n")
    program = f"""
globalThis.order = [];
const index = require({json.dumps(str(lib / "index.js"))});
order.push("index");
console.log(index.a.value + index.a.value, Object.keys(index).join(), order.join(" "));
"""
    preload = Path(spark_cluster.__file__).with_name("lazy_provider.js")
    done = subprocess.run(
        ["node", "--require", preload, "--eval", program], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == f"2 a {order}\n"


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
